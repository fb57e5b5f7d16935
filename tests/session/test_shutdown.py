"""Sessions of a server that shuts down."""

import gevent
import pytest

from dockerexec_ws.access.targets import FixedContainer
from tests.conftest import processes, wait_until
from tests.peer import HandshakeError, Peer, Transcript


def test_close_sends_201_and_1001_and_ends_the_processes(serve, container, docker_api):
    server = serve()
    scripts = ["sleep 1000", "trap '' HUP; while :; do sleep 1; done", "cat /dev/zero", "sleep 1000 & setsid sleep 999"]
    peers = [Peer(server.url, "bash", "-c", script).ready() for script in scripts]
    wait_until(lambda: len(processes(docker_api, container)) >= 6)
    readers = [gevent.spawn(Transcript, peer) for peer in peers]
    with gevent.Timeout(15):
        server.close()
    for reader in readers:
        transcript = reader.get()
        assert transcript.messages == [b"\xc9"]
        assert transcript.close_code == 1001
    wait_until(lambda: processes(docker_api, container) == [])
    assert server.sessions == []


def test_close_does_not_wait_for_a_client_that_does_not_read(serve, container, docker_api):
    server = serve()
    peer = Peer(server.url, "cat", "/dev/zero", receive_buffer=65536).ready()
    gevent.sleep(1)  # until all buffers are full
    with gevent.Timeout(15):
        server.close()
    wait_until(lambda: processes(docker_api, container) == [])
    peer.socket.close()


def test_draining_lets_sessions_end_by_themselves_and_answers_503(serve):
    server = serve()
    peer = Peer(server.url, "bash", "-c", "read; exit 4").ready()
    closing = gevent.spawn(server.close, 20)
    gevent.idle()
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url, "true")
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 0
    peer.stdin(b"\n")
    assert Transcript(peer).exit_code == 4
    with gevent.Timeout(15):
        closing.get()


def test_no_session_starts_once_the_shutdown_has_begun(server, container, docker_api, monkeypatch):
    """Not even a session whose request was admitted before the shutdown."""
    find = FixedContainer.find

    def close_and_find(targets, *arguments):
        closing = gevent.spawn(server.close)
        gevent.sleep(0.1)
        assert not closing.ready()
        return find(targets, *arguments)

    monkeypatch.setattr(FixedContainer, "find", close_and_find)
    assert Peer(server.url, "true").transcript().exit_code is None
    assert not docker_api.inspect_container(container)["ExecIDs"]
