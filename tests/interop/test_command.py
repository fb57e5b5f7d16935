"""This package's command line as the client of the original's server."""

from urllib.parse import urlsplit

import pytest

from tests.client.terminal.commands import one_line, run, start
from tests.interop.servers import Original


@pytest.fixture
def original(run_node, docker_api, docker_host, original_container):
    parts = urlsplit(docker_host)
    if parts.scheme != "unix":
        pytest.skip(f"the original takes only an engine at a unix socket, not {docker_host}")
    server = Original(run_node, docker_api, original_container, parts.path)
    server.start(max_sessions=1)
    return server


def test_streams_and_exit_code(original):
    done = run(original.url, "--", "sh", "-c", "cat; echo err >&2; exit 3", input=b"in\n")
    assert (done.stdout, done.stderr, done.returncode) == (b"in\n", b"err\n", 3)


def test_a_terminal(original):
    """The command's stdin stays open, because the original loses the output when stdin ends."""
    with start(original.url, "--tty", "--", "sh", "-c", "tty; read line; exit 4") as client:
        assert client.stdout.readline().startswith(b"/dev/pts/")
        client.stdin.write(b"\n")
        client.stdin.flush()
        assert client.wait() == 4


def test_a_path_that_is_not_there(original):
    done = run(f"{original.url}/other", "true")
    assert one_line(done.stderr) == "HTTP 400 Bad Request"
    assert done.returncode == 125
