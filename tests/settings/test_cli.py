"""The command line, as a user runs it."""

import signal
import time

import gevent
import pytest

from dockerexec_ws import __version__
from dockerexec_ws.settings.schema import TABLES
from tests.conftest import processes, wait_until
from tests.peer import HandshakeError, Peer, Transcript
from tests.settings.command import covered_run as run
from tests.settings.command import covered_running as running


def test_help_names_every_option_and_its_variable():
    result = run("--help")
    assert result.returncode == 0
    for option in ("container", "host", "port", "path", "docker-host", "docker-socket", "max-sessions"):
        assert f"--{option}" in result.stdout
    for option in ("wrapper-command", "ping-interval", "ping-timeout", "drain-timeout", "log-level", "version", "help"):
        assert f"--{option}" in result.stdout
    for option in (
        "engine-timeout",
        "idle-timeout",
        "max-duration",
        "max-output",
        "on-disconnect",
        "grace",
        "state-dir",
    ):
        assert f"--{option}" in result.stdout
    assert "DOCKEREXEC_WS_MAX_SESSIONS" in result.stdout


def test_help_is_grouped_by_the_tables_and_fits_without_a_terminal():
    result = run("--help", COLUMNS="200")
    headings = [line for line in result.stdout.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [*(f"{table.capitalize()}:" for table in TABLES), "Other options:", "Commands:"]
    assert max(map(len, result.stdout.splitlines())) <= 120
    assert "\x1b" not in result.stdout


def test_a_variable_that_only_looks_like_an_options():
    assert run(DOCKEREXEC_WS_VERSION="1", DOCKEREXEC_WS_HELP="1").returncode == 2


def test_version():
    assert run("--version").stdout == f"dockerexec-ws, version {__version__}\n"


def test_one_line_on_stdout_and_flags_before_the_environment(docker_host, container):
    settings = {
        "DOCKER_HOST": "tcp://127.0.0.1:1",
        "DOCKEREXEC_WS_DOCKER_SOCKET": "/nonexistent",
        "DOCKEREXEC_WS_CONTAINER": "nosuch",
        "DOCKEREXEC_WS_PATH": "from-environment",
        "DOCKEREXEC_WS_PORT": "0",
        "DOCKEREXEC_WS_WRAPPER_COMMAND": "echo 'a  b'",
        "DOCKEREXEC_WS_MAX_SESSIONS": "1",
    }
    with running("--container", container, "--docker-host", docker_host, **settings) as (process, url):
        assert url.endswith("/from-environment")
        with Peer(url, "c") as peer:
            assert Transcript(peer).stdout == b"a  b c\n"
        process.terminate()
        stdout, stderr = process.communicate(timeout=20)
        assert process.returncode == 0
        assert stdout == ""
        assert stderr == ""


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKEREXEC_WS_DOCKER_HOST"])
def test_the_engine_from_the_environment(docker_host, container, variable):
    with (
        running("--container", container, "--port", "0", **{variable: docker_host}) as (_, url),
        Peer(url, "true") as peer,
    ):
        assert Transcript(peer).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        ([], {}, "--container"),
        (["--container", "c", "--port", "70000"], {}, "--port"),
        (["--container", "c", "--max-sessions", "0"], {}, "--max-sessions"),
        (["--container", "c", "--max-sessions", "x"], {}, "--max-sessions"),
        (["--container", "c", "--handshake-timeout", "0"], {}, "--handshake-timeout"),
        (["--container", "c", "--max-message-size", "0"], {}, "--max-message-size"),
        (["--container", "c", "--output-limit", "8M"], {}, "--output-limit"),
        (["--container", "c"], {"DOCKEREXEC_WS_MAX_SESSIONS": "x"}, "--max-sessions"),
        (["--container", "c", "--wrapper-command", "'"], {}, "words"),
        (["--container", "c", "--no-such-option"], {}, "--no-such-option"),
        (["--container", "c", "no-such-command"], {}, "no-such-command"),
        (["--container", "c", "--log-level", "loud"], {}, "--log-level"),
        (["--container", "c", "--on-disconnect", "stay"], {}, "--on-disconnect"),
        (["--container", "c", "--grace", "-1"], {}, "--grace"),
        (["--container", "c", "--engine-timeout", "0"], {}, "--engine-timeout"),
        (["--container", "c", "--max-output", "1M"], {}, "--max-output"),
    ],
)
def test_usage_errors(arguments, environment, text):
    result = run(*arguments, **environment)
    assert result.returncode == 2
    assert text in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        (["--docker-host", "tcp://127.0.0.1:1", "--docker-socket", "/x"], {}, "not both"),
        ([], {"DOCKEREXEC_WS_DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKEREXEC_WS_DOCKER_SOCKET": "/x"}, "not both"),
        (["--docker-host", "tcp://127.0.0.1:1"], {}, "Nothing listens at tcp://127.0.0.1:1: connection refused."),
        (["--docker-host", "ssh://x"], {}, "ssh"),
        (["--grace", "inf"], {}, "grace: inf is not allowed here. Give a finite number of seconds"),
        (["--docker-socket", "/nonexistent"], {}, "There is no engine's socket at unix:///nonexistent."),
    ],
)
def test_errors_at_start_say_what_to_do(arguments, environment, text):
    result = run("--container", "c", *arguments, **environment)
    assert result.returncode == 1
    assert text in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_missing_container(docker_host):
    result = run("--container", "nosuch", DOCKER_HOST=docker_host)
    assert result.returncode == 1
    assert "no container 'nosuch'" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_tells_the_clients_and_ends_their_processes(docker_host, container, docker_api, number):
    with running("--container", container, "--port", "0", DOCKER_HOST=docker_host) as (process, url):
        peers = [Peer(url, "bash", "-c", "trap '' HUP; echo up; sleep 1000").ready() for _ in range(3)]
        for peer in peers:
            peer.until(b"up")
        readers = [gevent.spawn(Transcript, peer) for peer in peers]
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 0
        assert stderr == ""
        for reader in readers:
            assert reader.get().messages == [b"\xc9"]
            assert reader.get().close_code == 1001
        wait_until(lambda: processes(docker_api, container) == [])


def test_draining(docker_host, container, docker_api):
    """A session that ends in time ends by itself. New ones are refused. The rest is told when the time is over."""
    with running("--container", container, "--port", "0", "--drain-timeout", "2", DOCKER_HOST=docker_host) as (
        process,
        url,
    ):
        ends = Peer(url, "bash", "-c", "read; exit 7").ready()
        stays = Peer(url, "bash", "-c", "trap '' HUP; echo up; sleep 1000").ready()
        stays.until(b"up\n")
        process.terminate()
        gevent.sleep(0.3)
        with pytest.raises(HandshakeError) as refused:
            Peer(url, "true")
        assert refused.value.response.status_code == 503
        assert int(refused.value.response.headers["Retry-After"]) > 0
        ends.stdin(b"\n")
        assert Transcript(ends).messages == [b"\xc8\x07"]
        begin = time.monotonic()
        assert Transcript(stays).messages == [b"\xc9"]
        assert 1 < time.monotonic() - begin < 2.5
        assert process.wait(timeout=20) == 0
        wait_until(lambda: processes(docker_api, container) == [])


def test_nothing_holds_up_the_end(docker_host, own_container, docker_api):
    """A paused container keeps its processes until the next server ends them. A client may read nothing."""
    with running("--container", own_container, "--port", "0", DOCKER_HOST=docker_host) as (process, url):
        deaf = Peer(url, "cat", "/dev/zero", receive_buffer=4096).ready()
        peer = Peer(url, "bash", "-c", "echo up; sleep 1000").ready()
        peer.until(b"up\n")
        docker_api.pause(own_container)
        process.terminate()
        assert Transcript(peer).messages == [b"\xc9"]
        assert process.wait(timeout=20) == 0
        deaf.vanish()
    docker_api.unpause(own_container)
    with running("--container", own_container, "--port", "0", DOCKER_HOST=docker_host):
        wait_until(lambda: processes(docker_api, own_container) == [])


def test_a_second_signal_stops_at_once(docker_host, own_container):
    with running("--container", own_container, "--port", "0", "--drain-timeout", "60", DOCKER_HOST=docker_host) as (
        process,
        url,
    ):
        Peer(url, "sleep", "1000").ready()
        process.terminate()
        gevent.sleep(0.5)
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=20) == 128 + signal.SIGTERM


def test_logs_go_to_stderr(docker_host, container):
    with running("--container", container, "--port", "0", "--log-level", "DEBUG", DOCKER_HOST=docker_host) as (
        process,
        url,
    ):
        with Peer(url, "true") as peer:
            assert Transcript(peer).exit_code == 0
        process.terminate()
        stdout, stderr = process.communicate(timeout=20)
    assert stdout == ""
    assert "DEBUG dockerexec_ws" in stderr


def test_the_port_that_is_taken(docker_host, container):
    with running("--container", container, "--port", "0", DOCKER_HOST=docker_host) as (_, url):
        port = url.split(":")[2].split("/")[0]
        result = run("--container", container, "--port", port, DOCKER_HOST=docker_host)
    assert result.returncode == 1
    assert f"port {port}" in result.stderr
