"""The original's client, unchanged, against this server."""

import hashlib
import os

import pytest

from tests.conftest import processes, wait_until

MIB = 1024 * 1024


@pytest.fixture
def connect(server, run_node):
    """A function that starts the client for a command."""

    def start(*argv, url=server.url, tty=False, **options):
        return run_node("client.js", url=url, command=argv, tty=tty, **options)

    return start


@pytest.fixture
def upload(tmp_path):
    """A function that makes a file of random bytes; returns its path and the client's report for these bytes."""

    def make(size):
        data = os.urandom(size)
        path = tmp_path / "upload"
        path.write_bytes(data)
        return str(path), {"bytes": size, "sha256": hashlib.sha256(data).hexdigest()}

    return make


def text(events, stream="stdout"):
    """Return the text that came on *stream* in *events*."""
    return "".join(event["text"] for event in events if event["event"] == stream)


def until(client, wanted):
    """Wait for *wanted* on the client's stdout."""
    output = ""
    while wanted not in output:
        output += text([client.event()])


def outcome(events):
    """Return the events except those of the streams and the end."""
    return [tuple(event.values()) for event in events if event["event"] not in ("stdout", "stderr", "end")]


def exited(code):
    """The outcome of a session whose process exited."""
    return [("exit", code), ("close", 1000)]


def test_half_close(connect):
    client = connect("wc", "-c")
    client.tell(write="hello\n")
    client.tell(end=True)
    events = client.events()
    assert text(events) == "6\n"
    assert outcome(events) == exited(0)


def test_binary(connect, tmp_path):
    data = bytes(range(256))
    (tmp_path / "binary").write_bytes(data)
    client = connect("cat", "-E")
    client.tell(file=str(tmp_path / "binary"))
    client.tell(end=True)
    events = client.events()
    assert text(events).encode("latin-1") == data.replace(b"\n", b"$\n")
    assert outcome(events) == exited(0)


def test_exit_code_of_a_shell_with_a_tty(connect):
    client = connect("bash", tty=True)
    client.tell(write="exit 9\n")
    assert outcome(client.events()) == exited(9)


@pytest.mark.parametrize(("code", "seen"), [(1, 1), (127, 127), (128, -128), (137, -119), (255, -1)])
def test_exit_code_is_read_as_a_signed_byte(connect, code, seen):
    assert outcome(connect("bash", "-c", f"exit {code}").events()) == exited(seen)


def test_stderr(connect):
    events = connect("bash", "-c", "echo out; echo err >&2").events()
    assert (text(events), text(events, "stderr")) == ("out\n", "err\n")


def test_command_not_found(connect):
    events = connect("no-such-command").events()
    assert text(events) == ""
    assert "no-such-command" in text(events, "stderr")
    assert outcome(events) == exited(126)


def test_session_limit(serve, connect):
    server = serve(max_sessions=1)
    first = connect("cat", url=server.url)
    first.tell(write="here\n")
    until(first, "here")
    refused = connect("cat", url=server.url)
    assert outcome(refused.events()) == [("error", "Too many sessions active!"), ("close", 1013)]
    first.tell(end=True)
    assert outcome(first.events()) == exited(0)
    wait_until(lambda: not server.sessions)
    assert outcome(connect("true", url=server.url).events()) == exited(0)


def test_one_large_message_then_end(connect, upload):
    """Above 8 MiB outstanding the client waits for a 100 before it sends the end."""
    path, report = upload(8 * MIB + 1)
    client = connect("bash", "-c", "tee >(wc -c >&2) | sha256sum")
    client.tell(file=path)
    client.tell(end=True)
    events = client.events()
    assert text(events, "stderr").split() == [str(report["bytes"])]
    assert text(events).split()[0] == report["sha256"]
    assert outcome(events) == exited(0)


def test_upload(connect, upload):
    path, report = upload(60_000_000)
    client = connect("sha256sum")
    client.tell(pipe=path)
    events = client.events()
    assert text(events).split()[0] == report["sha256"]
    assert outcome(events) == exited(0)


def test_through_cat(connect, upload):
    path, report = upload(60_000_000)
    client = connect("cat", live=False)
    client.tell(pipe=path)
    events = client.events()
    assert events[-1]["stdout"] == report
    assert outcome(events) == exited(0)


def test_process_exits_while_the_client_does_not_read(connect, container, docker_api):
    """The client pauses the server after some messages. The rest and the exit code come once it reads."""
    size = 4 * MIB
    client = connect("bash", "-c", f"echo running >&2; head -c {size} /dev/zero; exit 3", reading=False)
    assert client.event() == {"event": "stderr", "text": "running\n"}
    wait_until(lambda: not processes(docker_api, container))
    client.tell(read=True)
    events = client.events()
    assert events[-1]["stdout"] == {"bytes": size, "sha256": hashlib.sha256(bytes(size)).hexdigest()}
    assert outcome(events) == exited(3)


def test_resize(connect):
    client = connect("bash", "-c", "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done", tty=True)
    until(client, "ready")
    client.tell(resize=[33, 101])
    events = client.events()
    assert text(events) == "33 101\r\n"
    assert outcome(events) == exited(0)


def test_resize_without_a_tty(connect):
    """The client refuses this resize, so the test sends the message through the client's method for any message."""
    client = connect("cat")
    client.tell(message=[50, "\x18\x00\x50\x00"])
    client.tell(write="goes on")
    client.tell(end=True)
    events = client.events()
    assert text(events) == "goes on"
    assert outcome(events) == [("error", "cannot resize, not a tty instance"), *exited(0)]


def test_shutdown(serve, connect):
    server = serve()
    client = connect("cat", url=server.url)
    client.tell(write="here\n")
    until(client, "here")
    server.close()
    assert outcome(client.events()) == [("shutdown",), ("close", 1001)]


def test_session_events(server, connect):
    seen = []
    server.subscribe("session", lambda session: seen.append(("session", session.argv)))
    for event in ("session added", "session removed"):
        server.subscribe(event, lambda count, event=event: seen.append((event, count)))
    first = connect("cat")
    first.tell(write="here\n")
    until(first, "here")
    second = connect("true")
    assert outcome(second.events()) == exited(0)
    wait_until(lambda: ("session removed", 1) in seen)
    first.tell(end=True)
    assert outcome(first.events()) == exited(0)
    wait_until(lambda: not server.sessions)
    assert seen == [
        ("session", ("cat",)),
        ("session added", 1),
        ("session", ("true",)),
        ("session added", 2),
        ("session removed", 1),
        ("session removed", 0),
    ]
