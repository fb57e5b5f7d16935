"""Sessions that end because of the container, or of whoever runs it, on a real engine."""

import time

import gevent
import pytest

from tests.conftest import processes, wait_until
from tests.peer import Peer, Transcript

TREE = "trap '' HUP; setsid sleep 1000 & sleep 1000 & echo up; wait"


@pytest.mark.slow
def test_every_exit_code(serve):
    server = serve(max_sessions=20)

    def exit_code(code):
        return Peer(server.url, "bash", "-c", f"exit {code}").transcript().exit_code

    assert gevent.pool.Pool(8).map(exit_code, range(256)) == list(range(256))


@pytest.mark.parametrize("how", ["stop", "kill", "remove", "restart"])
@pytest.mark.parametrize("tty", [False, True])
def test_a_container_that_ends_in_mid_session(serve, own_container, docker_api, how, tty):
    """The processes are killed. Their exit code follows all output, unless the engine can no longer report it."""
    server = serve(own_container)
    peers = [Peer(server.url, "bash", "-c", script, tty=tty).ready() for script in ("yes", TREE)]
    for peer in peers:
        peer.until(b"y" if peer is peers[0] else b"up")
    readers = [gevent.spawn(Transcript, peer) for peer in peers]
    match how:
        case "stop":
            docker_api.stop(own_container, timeout=1)
        case "kill":
            docker_api.kill(own_container)
        case "remove":
            docker_api.remove_container(own_container, force=True)
        case "restart":
            docker_api.restart(own_container, timeout=1)
    for reader in readers:
        transcript = reader.get(timeout=10)
        if transcript.close_code == 1000:
            assert transcript.messages == [b"\xc8\x89"]
        else:
            assert (transcript.exit_code, transcript.close_code) == (None, 1011)
            assert len(transcript.errors) == 1
    wait_until(lambda: server.sessions == [])
    if how == "restart":
        assert Peer(server.url, "echo", "again").transcript().stdout == b"again\n"


def test_a_container_that_is_paused_in_mid_session(serve, own_container, docker_api):
    """The session waits, and goes on."""
    server = serve(own_container)
    peer = Peer(server.url, "bash", "-c", "echo up; read line; echo $line; exit 3").ready()
    peer.until(b"up\n")
    docker_api.pause(own_container)
    peer.stdin(b"hello\n")
    gevent.sleep(0.5)
    assert len(server.sessions) == 1
    docker_api.unpause(own_container)
    transcript = peer.transcript()
    assert (transcript.stdout, transcript.exit_code) == (b"hello\n", 3)


def test_a_session_in_a_paused_container_is_over_when_its_processes_are(serve, own_container, docker_api):
    """A session keeps its place until then."""
    server = serve(own_container, max_sessions=1)
    counts = []
    server.subscribe("session removed", counts.append)
    peer = Peer(server.url, "bash", "-c", TREE).ready()
    peer.until(b"up")
    docker_api.pause(own_container)
    peer.vanish()
    gevent.sleep(1)
    assert len(server.sessions) == 1
    assert counts == []
    assert Peer(server.url, "true").transcript().errors == ["Too many sessions active!"]
    docker_api.unpause(own_container)
    wait_until(lambda: counts == [0])
    assert processes(docker_api, own_container) == []


def test_session_removed_comes_when_the_process_tree_is_gone(serve, container, docker_api):
    server = serve()
    left = []
    server.subscribe("session removed", lambda _: left.append(processes(docker_api, container)))
    peer = Peer(server.url, "bash", "-c", TREE).ready()
    peer.until(b"up")
    begin = time.monotonic()
    peer.vanish()
    wait_until(lambda: left)
    assert left == [[]]
    assert 0.5 < time.monotonic() - begin < 5


@pytest.mark.parametrize("grace", [0, 3.0])
def test_the_grace_is_a_setting(serve, container, docker_api, grace):
    server = serve(grace=grace)
    peer = Peer(server.url, "bash", "-c", TREE).ready()
    peer.until(b"up")
    begin = time.monotonic()
    peer.vanish()
    wait_until(lambda: server.sessions == [])
    assert grace < time.monotonic() - begin < grace + 3
    assert processes(docker_api, container) == []


@pytest.mark.parametrize("how", ["client", "server"])
def test_leave_does_as_the_original(serve, own_container, docker_api, how):
    server = serve(own_container, on_disconnect="leave")
    peer = Peer(server.url, "bash", "-c", TREE).ready()
    peer.until(b"up")
    if how == "client":
        peer.vanish()
    else:
        server.close()
    wait_until(lambda: server.sessions == [])
    gevent.sleep(1)
    assert len(processes(docker_api, own_container)) == 3


def test_leave_does_not_free_from_limits(serve, own_container, docker_api):
    server = serve(own_container, on_disconnect="leave", max_duration=2.0)
    peer = Peer(server.url, "bash", "-c", TREE).ready()
    peer.until(b"up")
    assert peer.transcript().close_code == 1008
    wait_until(lambda: server.sessions == [])
    assert processes(docker_api, own_container) == []


def test_what_is_left_when_the_client_goes_after_the_exit_is_ended(serve, container, docker_api):
    """Background processes are left alone only if the session ended by itself."""
    server = serve()
    peer = Peer(server.url, "bash", "-c", "sleep 1000 >/dev/null 2>&1 & echo up; exit 3").ready()
    peer.pause()
    (session,) = server.sessions
    wait_until(lambda: session.exit_code == 3)
    assert processes(docker_api, container) == ["sleep 1000"]
    peer.vanish()
    wait_until(lambda: server.sessions == [])
    assert processes(docker_api, container) == []
