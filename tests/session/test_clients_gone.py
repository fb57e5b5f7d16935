"""Clients that leave, vanish or go silent: their processes end, but an honest slow reader keeps its session."""

import gevent
import pytest

from tests.conftest import processes, wait_until
from tests.peer import Peer, Transcript

VICTIMS = [
    "sleep 1000",
    "trap '' HUP TERM INT; while :; do sleep 1; done",
    "setsid sleep 1000 & sleep 1000 & wait",
    "cat /dev/zero",
    "nohup setsid bash -c 'trap \"\" HUP; cat /dev/zero >/dev/null' & disown; sleep 1000",
    "setpriv --reuid 1000 --clear-groups sleep 1000",
    "env -i sleep 1000 & wait",
]


@pytest.mark.parametrize("how", ["vanish", "close", "unmasked"])
@pytest.mark.parametrize("tty", [False, True])
def test_when_the_client_is_gone_so_is_the_process_tree(server, container, docker_api, how, tty):
    peers = [Peer(server.url, "bash", "-c", script, tty=tty).ready() for script in VICTIMS]
    bystander = Peer(server.url, "bash", "-c", "read; echo alive").ready()
    wait_until(lambda: len(processes(docker_api, container)) > len(VICTIMS) + 4)
    for peer in peers:
        if how == "unmasked":
            peer.send_raw(b"\x82\x01\x00")
        else:
            getattr(peer, how)()
    with gevent.Timeout(10, AssertionError("processes are left")):
        while len(processes(docker_api, container)) > 1:
            gevent.sleep(0.05)
    for peer in peers:
        peer.socket.close()
    bystander.stdin(b"\n")
    assert Transcript(bystander).stdout == b"alive\n"
    wait_until(lambda: not server.sessions)


def test_a_silent_peer_is_dead_after_interval_and_timeout(serve, container, docker_api):
    server = serve(ping_interval=0.3, ping_timeout=0.3)
    peer = Peer(server.url, "sleep", "1000").ready()
    wait_until(lambda: not server.sessions)
    wait_until(lambda: processes(docker_api, container) == [])
    peer.socket.close()


def test_any_byte_is_a_sign_of_life(serve):
    server = serve(ping_interval=0.3, ping_timeout=0.3)
    with Peer(server.url, "cat").ready() as peer:
        for _ in range(15):
            gevent.sleep(0.1)
            peer.send(b"\x03")  # ignored
        assert len(server.sessions) == 1
        peer.end()
        assert Transcript(peer).exit_code == 0


@pytest.mark.parametrize("size", [1_000, 30_000_000])
def test_an_honest_slow_reader_is_never_cut(serve, size):
    """Pings wait behind unread output, in the server's buffers or in the peer's."""
    server = serve(ping_interval=0.5, ping_timeout=0.5)
    script = f"echo up >&2; read; head -c {size} /dev/zero; read"
    with Peer(server.url, "bash", "-c", script, receive_buffer=65536).ready() as peer:
        # Until there is output, a silent client counts as gone, and the start of a process may take long.
        peer.until(b"up")
        peer.stdin(b"\n")
        gevent.sleep(2)
        peer.stdin(b"\n")
        gevent.sleep(1)
        transcript = Transcript(peer)
    assert len(transcript.stdout) == size
    assert transcript.exit_code == 1 or transcript.exit_code == 0
