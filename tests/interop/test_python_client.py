"""The Python client against the original server."""

import hashlib

import pytest

from dockerexec_ws.client import ServerShutdown, SessionRefused, connect, run
from tests.interop.servers import Original


@pytest.fixture
def original(run_node, docker_api, docker_host, original_container):
    server = Original(run_node, docker_api, original_container, docker_host.removeprefix("unix://"))
    server.start(max_sessions=1)
    return server


def test_both_streams_and_the_exit_code(original):
    # The original may lose the output of a process that exits at once.
    done = run(original.url, ["sh", "-c", "echo out; echo err >&2; sleep 1; exit 200"], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (200, b"out\n", b"err\n")


def test_much_stdin(original):
    data = bytes(range(256)) * 100_000
    done = run(original.url, ["sha256sum"], input=data, capture_output=True)
    assert done.stdout.decode().split()[0] == hashlib.sha256(data).hexdigest()


def test_a_terminal_with_its_first_size(original):
    with connect(original.url, ["sh", "-c", "sleep 0.5; stty size; read x"], tty=True, size=(33, 77)) as process:
        assert process.stdout.readline() == b"33 77\r\n"
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.wait() == 0


def test_refusals(original):
    with connect(original.url, ["cat"]), pytest.raises(SessionRefused, match=r"^Too many sessions active!$"):
        connect(original.url, ["cat"])
    with pytest.raises(SessionRefused, match=r"^HTTP 400 Bad Request$"):
        connect(original.url + "y", ["cat"])


def test_the_end_of_the_server(original):
    process = connect(original.url, ["sleep", "1"])
    original.stop()
    with pytest.raises(ServerShutdown):
        process.wait()
    process.close()
