"""Servers that break the protocol: the client says what is wrong, and its memory stays bounded."""

import contextlib
import socket
import sys
import threading
import traceback

import pytest

from dockerexec_ws.client import ConnectionLost, EngineError, ServerShutdown, SessionRefused, connect
from dockerexec_ws.errors import DockerExecError, SettingsError
from tests.client.scripted import READY, answer, say, upgraded
from tests.client.support import opened
from tests.client.terminal import commands
from tests.client.terminal.commands import OWN_FAILURE


@pytest.mark.parametrize(
    ("response", "kind", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", ConnectionLost, "is not a WebSocket server"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ConnectionLost, "is not a WebSocket server"),
        (b"", ConnectionLost, r"is not a WebSocket server: .*\. If it expects TLS, use wss:// in the URL\.$"),
        (b"\x15\x03\x01\0\x02\x02\x46", ConnectionLost, r"is not a WebSocket server: .*use wss://"),  # a TLS alert
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<h1>x",
            SessionRefused,
            "^HTTP 502 Bad Gateway. A proxy",
        ),
        (b"HTTP/1.1 404 No\r\n\r\n", SessionRefused, r"^HTTP 404 Not Found\. Check the path in the URL\.$"),
        (b"HTTP/1.1 414 No\r\n\r\n", SessionRefused, r"^HTTP 414 .*\. The command is longer than the server"),
        (b"HTTP/1.1 426 No\r\n\r\n", SessionRefused, r"^HTTP 426 Upgrade Required\. A proxy .* HTTP/1\.1\.$"),
        (b"HTTP/1.1 302 Found\r\nLocation: /y\r\n\r\n", SessionRefused, "^HTTP 302 Found$"),
        (b"HTTP/1.1 400 No\r\n\r\n", SessionRefused, "^HTTP 400 Bad Request$"),
        (b"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\n\r\nGo away.\n", SessionRefused, r"^Go away\.$"),
        (b"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\n\r\n\x1b]0;x\a", SessionRefused, "^HTTP 403 Forbidden$"),
    ],
)
def test_answers_that_are_no_upgrade(listen, response, kind, text):
    with pytest.raises(kind, match=text):
        connect(listen(answer(response)), ["true"])


def test_nobody_listens():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionLost, match=r"^cannot connect to 127.0.0.1:.*: Connection refused$"):
            connect(f"ws://127.0.0.1:{sock.getsockname()[1]}/x", ["true"])


@pytest.mark.parametrize("does", ["nothing", "only the upgrade"])
def test_no_answer_in_time(listen, does):
    def handle(connection):
        if does == "only the upgrade":
            connection.sendall(b"".join(upgraded(connection).data_to_send()))
        while connection.recv(65536):
            pass

    with pytest.raises(ConnectionLost, match=r"within 0\.3 s$"):
        connect(listen(handle), ["true"], open_timeout=0.3)


def test_a_server_that_refuses_and_does_not_close(listen):
    def handle(connection):
        protocol = upgraded(connection)
        protocol.send_binary(b"\xcaToo many sessions active!")
        connection.sendall(b"".join(protocol.data_to_send()))
        while connection.recv(65536):
            pass

    with pytest.raises(SessionRefused, match=r"^Too many sessions active!$"):
        opened(listen(handle), ["true"], refusal_timeout=0.3)


OUTPUT = b"\x01so far"


@pytest.mark.parametrize(
    ("handle", "kind", "text"),
    [
        (say(READY, OUTPUT), ConnectionLost, "^the connection was lost$"),
        (say(READY, OUTPUT, close=(1000,)), ConnectionLost, "^the server closed with 1000$"),
        (say(READY, OUTPUT, close=(1009, "too big")), ConnectionLost, "^the server closed with 1009 too big$"),
        (say(READY, OUTPUT, close=(1011,)), EngineError, "^the server gave no reason$"),
        (say(READY, OUTPUT, b"\xcawhy", close=(1011,)), EngineError, "^why$"),
        (say(READY, OUTPUT, b"\xcawhy", close=(1013,)), SessionRefused, "^why$"),
        (say(READY, OUTPUT, close=(1008, "reason")), SessionRefused, "^reason$"),
        (say(READY, OUTPUT, b"\xca\x1b[2J", close=(1008,)), SessionRefused, r"^\ufffd\[2J$"),  # no escapes
        (say(READY, OUTPUT, b"\xc9"), ServerShutdown, "shut down"),  # as the original server does
        (say(READY, OUTPUT, close=(1001,)), ServerShutdown, "shut down"),
        (say(READY, OUTPUT, b"\xcacannot resize"), ConnectionLost, "^the connection was lost$"),
        (say(READY, OUTPUT, b"\xc8"), ConnectionLost, "broke the protocol: .*exit code"),
        (say(READY, OUTPUT, then=b"\x82\x81\0\0\0\0x"), ConnectionLost, "broke the protocol: incorrect masking"),
        (say(READY, OUTPUT, then=b"\x82\x7f" + (1 << 40).to_bytes(8, "big")), ConnectionLost, "broke the protocol"),
    ],
)
def test_endings_without_an_exit_code(listen, handle, kind, text):
    process = connect(listen(handle), ["true"])
    assert process.stdout.read(6) == b"so far"
    with pytest.raises(kind, match=text):
        process.stdout.read()
    with pytest.raises(kind, match=text):
        process.wait()
    assert process.returncode is None
    process.close()


def test_the_originals_refusal_has_no_close_code(listen):
    with pytest.raises(SessionRefused, match=r"^Too many sessions active!$"):
        connect(listen(say(b"\xcaToo many sessions active!")), ["true"])


def test_an_exit_code_counts_whatever_follows(listen):
    process = connect(listen(say(READY, OUTPUT, b"\xc8\x05", b"\xc8\x06", b"\xcalate", close=(1011,))), ["true"])
    assert process.communicate() == (b"so far", b"")
    assert process.returncode == 5
    process.close()


def test_what_makes_no_sense_is_ignored(listen):
    messages = [b"", b"\0stdin", b"\x32", b"\xff?", b"\x01", OUTPUT, b"\xc8\0"]
    process = connect(listen(say(READY, *messages)), ["true"])
    assert process.communicate() == (b"so far", b"")
    process.close()


def test_fragments_and_text(listen):
    def handle(connection):
        protocol = upgraded(connection)
        protocol.send_binary(READY)
        protocol.send_binary(b"\x01so", fin=False)
        protocol.send_ping(b"in between")
        protocol.send_continuation(b" f", fin=False)
        protocol.send_continuation(b"ar", fin=True)
        protocol.send_text(b"\x02text")
        protocol.send_binary(b"\xc8\0")
        connection.sendall(b"".join(protocol.data_to_send()))
        while connection.recv(65536):
            pass

    process = connect(listen(handle), ["true"])
    assert process.communicate() == (b"so far", b"text")
    process.close()


def test_a_server_that_pings_and_never_reads(listen):
    """The client owes only a bounded number of pongs: it stops reading, and can still close."""
    sent = []

    def handle(connection):
        protocol = upgraded(connection)
        protocol.send_binary(READY)
        connection.sendall(b"".join(protocol.data_to_send()))
        connection.settimeout(2)
        with contextlib.suppress(TimeoutError):
            while True:
                sent.append(connection.send(b"\x89\x7d" + bytes(125)) * 500)
                connection.sendall((b"\x89\x7d" + bytes(125)) * 500)

    made = opened(listen(handle), ["true"])
    with pytest.raises(ConnectionLost):
        made.process.wait()
    assert len(made.protocol.writes) < 5000
    made.process.close()


def test_a_server_that_does_not_heed_the_pause(listen):
    stop = threading.Event()

    def handle(connection):
        protocol = upgraded(connection)
        protocol.send_binary(READY)
        connection.sendall(b"".join(protocol.data_to_send()))
        connection.settimeout(0.5)
        frame = b"\x82\x7f" + (65537).to_bytes(8, "big") + b"\x01" + bytes(65536)
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(frame)
        stop.set()

    made = opened(listen(handle), ["true"])
    assert stop.wait(20)
    assert made.session.unread < 17_100_000  # the limit plus one read
    made.process.close()


@pytest.mark.parametrize("bad", ["\r\nX: y", "\0", "\ufeff", "\udcff"])
@pytest.mark.parametrize("give", [lambda value: {"token": value}, lambda value: {"headers": {"X-Token": value}}])
def test_a_header_that_cannot_be_sent_is_in_no_traceback(give, bad):
    with pytest.raises(SettingsError, match="contains a character that cannot be sent") as raised:
        connect("ws://127.0.0.1:1/x", ["true"], **give(f"secret{bad}"))
    assert raised.value.__context__ is None
    assert "secret" not in str(raised.value)


def test_a_message_of_nothing_but_empty_fragments(listen):
    """The message may go on for ever, but must not take more memory."""
    frames = 200_000

    def handle(connection):
        protocol = upgraded(connection)
        protocol.send_binary(READY)
        protocol.send_binary(b"\x01", fin=False)
        connection.sendall(b"".join(protocol.data_to_send()) + bytes(2 * frames) + b"\x89\0")
        while not connection.recv(65536):  # the pong shows that the client has read them all
            pass

    made = opened(listen(handle), ["true"])
    with pytest.raises(ConnectionLost):
        made.process.wait()
    assert sys.getsizeof(made.connection._fragments) < 1000
    made.process.close()


# Every control character that fits into a line, and those that change the direction of text.
EVIL = "".join(
    chr(code)
    for first, last in ((0x01, 0x09), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F), (0x202A, 0x202E), (0x2066, 0x2069))
    for code in range(first, last + 1)
)
SOURCES = {
    "the status line": answer(f"HTTP/1.1 403 {EVIL}\r\n\r\n".encode()),
    "no HTTP": answer(f"{EVIL}\r\n\r\n".encode()),
    "a header": answer(f"HTTP/1.1 101 OK\r\nUpgrade: {EVIL}\r\n\r\n".encode()),
    "a header in Latin-1": answer(b"HTTP/1.1 101 OK\r\nUpgrade: \x9b2J\r\n\r\n"),
    "a text": answer(f"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\n\r\n{EVIL}".encode()),
    "a refusal": say(b"\xca" + EVIL.encode(), close=(1008,)),
    "the reason of a refusal": say(close=(1008, EVIL[:41])),
    "an error": say(READY, b"\xca" + EVIL.encode(), close=(1011,)),
    "the reason of an error": say(READY, close=(1011, EVIL[-41:])),
    "the reason of an end": say(READY, close=(4000, EVIL[-41:])),
    "a message that is none": say(READY, EVIL.encode()),
    "frames that are none": say(READY, then=EVIL.encode()),
}


@pytest.mark.parametrize("source", SOURCES)
def test_control_characters_of_a_server_are_shown_harmless(source, listen, caplog):
    with pytest.raises(DockerExecError) as caught, connect(listen(SOURCES[source]), ["true"]) as process:
        process.communicate()
    for text in (*"".join(traceback.format_exception(caught.value)).splitlines(), *caplog.messages):
        assert text.isprintable()
    if "error" in source:
        assert "\ufffd" in str(caught.value)


@pytest.mark.parametrize("source", ["a header in Latin-1", "a refusal", "an error"])
def test_control_characters_of_a_server_do_not_reach_the_terminal(source, listen):
    done = commands.run(listen(SOURCES[source]), "true")
    assert done.returncode == OWN_FAILURE
    lines = done.stderr.decode().splitlines()
    assert lines
    assert all(line.startswith("dockerexec-ws-client: ") and line.isprintable() for line in lines)
