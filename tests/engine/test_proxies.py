"""An engine behind proxies: the set-ups in the manual, and proxies that do not pass on all of its streams."""

import contextlib

import docker
import pytest
from websockets.frames import Opcode

from tests.conftest import IMAGE, processes, wait_until
from tests.engine.kill.victim import without_host_processes
from tests.peer import Peer, Transcript, masked
from tests.proxies import apache, haproxy, haproxy_passes_on_upgrades, nginx
from tests.standin import StandInEngine


@pytest.fixture(scope="module")
def behind_nginx(docker_host, tmp_path_factory):
    with nginx(docker_host.removeprefix("unix://"), tmp_path_factory.mktemp("nginx")) as address:
        yield address


BROKEN_OFF = "the engine, or a proxy before it, broke off the stream before the command started"
CUT = "output may be lost, because nginx, a proxy before the engine, broke off the output when stdin ended."


@pytest.fixture(scope="module")
def behind_haproxy(docker_host, shared_container, tmp_path_factory):
    """The addresses in HTTP mode and in TCP mode."""
    with haproxy(docker_host.removeprefix("unix://"), tmp_path_factory.mktemp("h"), shared_container) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def behind_apache(docker_host, shared_container, tmp_path_factory):
    with apache(docker_host.removeprefix("unix://"), tmp_path_factory.mktemp("apache"), shared_container) as address:
        yield address


def run(server, *argv, **options):
    with Peer(server.url, *argv, **options) as peer:
        return Transcript(peer)


def test_nginx_breaks_off_a_command_whose_stdin_ends_at_once(serve, behind_nginx):
    """The engine then usually gives up the command with exit code 126, or starts it and loses its output."""
    server = serve(docker_host=behind_nginx)
    end = masked(Opcode.BINARY, b"\x00abc") + masked(Opcode.BINARY, b"\x66")
    told = set()
    for _ in range(3):
        transcript = run(server, "sh", "-c", "wc -c; sleep 1; echo late; exit 7", send_at_once=end)
        assert (transcript.exit_code, transcript.close_code) == (None, 1011)
        told.update(transcript.errors)
    assert all(text.startswith((BROKEN_OFF, CUT)) for text in told)


def test_a_command_that_the_engine_gave_up_has_no_exit_code(serve, tmp_path):
    never_started = {"Running": False, "ExitCode": 126, "Pid": 0}
    with StandInEngine(tmp_path / "s", states=[never_started]) as standin:
        transcript = run(serve("c", docker_host=standin.address, on_disconnect="leave"), "x")
    assert (transcript.exit_code, transcript.errors, transcript.close_code) == (None, [BROKEN_OFF], 1011)


def test_nginx_breaks_off_the_output_of_a_command_whose_stdin_ends(serve, behind_nginx):
    """Otherwise the process would end with an exit code, and the client would never know that output is missing."""
    with Peer(serve(docker_host=behind_nginx).url, "sh", "-c", "echo up; cat; echo late; exit 7").ready() as peer:
        assert peer.until(b"up\n") == b"up\n"
        peer.stdin(b"abc")
        peer.end()
        transcript = Transcript(peer)
    assert transcript.exit_code is None
    assert len(transcript.errors) == 1
    assert transcript.errors[0].startswith(CUT)
    assert transcript.close_code == 1011


def test_behind_nginx_what_ends_before_its_stdin_is_whole(serve, behind_nginx):
    server = serve(docker_host=behind_nginx)
    transcript = run(server, "sh", "-c", "echo out; echo err >&2; exit 126")
    assert (transcript.stdout, transcript.stderr, transcript.exit_code) == (b"out\n", b"err\n", 126)
    transcript = run(server, "nosuch")
    assert (transcript.exit_code, transcript.errors) == (126, [])
    assert b"nosuch" in transcript.stderr
    assert run(server, "sh", "-c", "exit 126").exit_code == 126
    assert run(server, "nosuch", tty=True).exit_code == 126


def assert_all_works(server, docker_api, container):
    end = masked(Opcode.BINARY, b"\x00abc") + masked(Opcode.BINARY, b"\x66")
    transcript = run(server, "sh", "-c", "wc -c; sleep 0.3; echo late; exit 7", send_at_once=end)
    assert (transcript.stdout, transcript.exit_code) == (b"3\nlate\n", 7)
    with Peer(server.url, "sh", "-c", "trap '' HUP; echo up; sleep 61", tty=True) as peer:
        peer.until(b"up")
    wait_until(lambda: processes(docker_api, container) == [])


def assert_filters(address):
    """The proxy lets only the server's requests through."""
    with contextlib.closing(docker.APIClient(address, version="1.41")) as api:
        for ask in (
            api.containers,
            api.info,
            lambda: api.create_container(IMAGE),
            lambda: api.inspect_container("another"),
            lambda: api.remove_container("0" * 64),
            lambda: api.exec_create("another", "true"),
        ):
            with pytest.raises(docker.errors.APIError) as refused:
                ask()
            assert refused.value.status_code == 403


def test_the_manuals_apache(serve, behind_apache, docker_api, container, monkeypatch):
    without_host_processes(monkeypatch)
    assert_all_works(serve(docker_host=behind_apache), docker_api, container)
    assert_filters(behind_apache)


def test_the_manuals_haproxy(serve, behind_haproxy, docker_api, container, monkeypatch, caplog):
    """The proxy blocks upgrades. The script reveals it, so the server says so at its start and in each session."""
    without_host_processes(monkeypatch)
    server = serve(docker_host=behind_haproxy[0])
    if haproxy_passes_on_upgrades():
        assert_all_works(server, docker_api, container)
    else:
        wait_until(lambda: "no session can run: the engine answered 200 instead of 101" in caplog.text)
        transcript = run(server, "true")
        assert transcript.errors[0].startswith("the engine answered 200 instead of 101: a proxy before the engine")
        assert (transcript.exit_code, transcript.close_code) == (None, 1011)
    assert_filters(behind_haproxy[0])


def test_haproxy_in_tcp_mode(serve, behind_haproxy, docker_api, container):
    assert_all_works(serve(docker_host=behind_haproxy[1]), docker_api, container)
