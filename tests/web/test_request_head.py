"""The head of a request: its largest size, its forms, and the answer to a client that exceeds the limits."""

import contextlib
import re
import socket
from urllib.parse import urlencode, urlsplit

import pytest

from dockerexec_ws import Handler
from dockerexec_ws.web.request_head import origin_form
from tests.peer import Peer

FIELDS = (
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def answer(url, line, *fields):
    """Return the status and body of the answer to a request; do not wait for a session to end."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as sock:
        with contextlib.suppress(ConnectionError):  # the server may have closed already
            sock.sendall("\r\n".join([line, *(fields or FIELDS), "", ""]).encode())
        received = b""
        while not is_complete(received) and (data := sock.recv(65536)):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode(errors="replace")


def received_until_close(server, data):
    """Return all that the server sends to a client that sends *data* and then waits."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as sock:
        sock.sendall(data)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def is_complete(received):
    """Whether the answer is complete. After some answers the server keeps the connection open."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end) and len(body) >= int(length[1] if length else 0)


def test_a_long_command_runs(server):
    words = ["sh", "-c", 'printf %s "$1" | wc -c', "sh", "x" * 100_000]
    assert Peer(server.url, *words).transcript().stdout == b"100000\n"


def test_a_word_that_is_too_long_for_the_kernel_is_the_engines_error(server):
    transcript = Peer(server.url, "echo", "x" * 140_000).transcript()
    assert transcript.exit_code != 0
    assert b"argument list too long" in (transcript.stdout + transcript.stderr + "".join(transcript.errors).encode())


def test_a_longer_request_line_is_refused_in_words(server, serve):
    line = f"GET /x?command={'x' * 300_000} HTTP/1.1"
    status, text = answer(server.url, line)
    assert status == 414
    assert f"longer than {256 * 1024} bytes" in text
    assert "--max-request-line" in text
    limited = serve(max_request_line=2000)
    query = urlencode({"command": "x" * 1980})
    assert answer(limited.url, f"GET /x?{query} HTTP/1.1")[0] == 414
    assert "longer than 2000 bytes" in answer(limited.url, f"GET /x?{query} HTTP/1.1")[1]
    assert answer(limited.url, f"GET /x?{query[:-50]} HTTP/1.1")[0] == 101


@pytest.mark.parametrize(
    ("line", "fields", "status", "word"),
    [
        ("GET /x HTTP/1.1", [f"X-{number}: x" for number in range(101)], 431, "100 header fields"),
        ("GET /x HTTP/1.1", [f"X: {'x' * 70_000}"], 431, "64 KiB"),
        ("GET /x HTTP/1.1", [f"X-{number}: {'x' * 6000}" for number in range(20)], 431, "64 KiB"),
        ("GET /x HTTP/1.1 y", [], 400, "malformed"),
        ("nonsense", [], 400, "malformed"),
        ("GET /x HTTP/9", [], 400, "malformed"),
        ("GET /x HTTP/1.1", ["Content-Length: -1"], 400, "malformed"),
        ("GET /y HTTP/1.1", [], 404, ""),
    ],
)
def test_what_is_not_taken_is_told_in_words(server, line, fields, status, word):
    found, text = answer(server.url, line, *FIELDS, *fields)
    assert found == status
    assert word in text
    assert text.endswith("\n")
    assert Peer(server.url, "true").transcript().exit_code == 0


def test_a_head_that_takes_too_long(serve):
    server = serve(handshake_timeout=0.3)
    received = received_until_close(server, b"GET /x HTTP/1.1\r\nHost: ")
    assert received.startswith(b"HTTP/1.1 408 ")
    assert received.endswith(b"took longer than 0.3 s.\n")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("GET http://127.0.0.1/x?command=true HTTP/1.1", FIELDS),
        ("GET HTTP://localhost:1/x?command=true HTTP/1.1", FIELDS),
        ("GET ws://127.0.0.1/x?command=true HTTP/1.1", ["Host: evil.example", *FIELDS[1:]]),
        ("GET /x/?command=true HTTP/1.1", FIELDS),
        ("GET /x?command=true HTTP/1.1", [field.replace("websocket", "h2c, WebSocket") for field in FIELDS]),
    ],
)
def test_other_forms_of_a_request(server, line, fields):
    assert answer(server.url, line, *fields)[0] == 101


@pytest.mark.parametrize(
    ("line", "fields", "status"),
    [
        ("GET http://evil.example/x HTTP/1.1", FIELDS, 403),  # the authority in the target counts, not the Host field
        ("GET http://a@127.0.0.1/x HTTP/1.1", FIELDS, 403),
        ("GET /x HTTP/1.1", [field.replace("websocket", "h2c, websockets") for field in FIELDS], 426),
    ],
)
def test_other_forms_do_not_lead_around_the_checks(server, line, fields, status):
    assert answer(server.url, line, *fields)[0] == status


@pytest.mark.parametrize(
    ("target", "authority", "path"),
    [
        ("/x?a=http://b/c", None, "/x?a=http://b/c"),
        ("http://h:1/x?y#z", "h:1", "/x?y#z"),
        ("https://h", "h", "/"),
        ("http://h?x", "h", "/?x"),
        ("http:///x", "", "/x"),
        ("*", None, "*"),
        ("h:443", None, "h:443"),
    ],
)
def test_the_target_in_origin_form(target, authority, path):
    assert origin_form(target) == (authority, path)


def test_the_limit_of_the_handler_by_itself():
    assert Handler.max_request_line == 256 * 1024


def test_a_body_that_does_not_come_is_not_waited_for(serve):
    server = serve(handshake_timeout=0.3)
    received = received_until_close(server, b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 405 ")
    assert received.count(b"HTTP/1.1 ") == 1


def test_a_malformed_body_gets_no_second_answer(server):
    received = received_until_close(
        server, b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    )
    assert received.startswith(b"HTTP/1.1 405 ")
    assert received.count(b"HTTP/1.1 ") == 1
