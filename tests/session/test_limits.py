"""Sessions that reach their limits."""

import time

import gevent
import pytest

from dockerexec_ws.session.limits import Limits
from dockerexec_ws.settings.schema import SessionSettings
from tests.conftest import processes, wait_until
from tests.peer import Peer, Transcript


def assert_limited(transcript, text):
    assert transcript.errors == [f"session limit: {text}"]
    assert transcript.exit_code is None
    assert transcript.close_code == 1008


def test_there_is_no_limit_by_default():
    limits = Limits(SessionSettings())
    assert not limits.timed
    parts = [memoryview(bytes(10**6))] * 100
    assert limits.cut(parts) is parts


@pytest.mark.parametrize("tty", [False, True])
def test_a_session_in_which_nothing_moves(serve, container, docker_api, tty):
    server = serve(idle_timeout=0.5)
    transcript = Peer(server.url, "bash", "-c", "trap '' HUP; sleep 1000", tty=tty).transcript()
    assert_limited(transcript, "nothing moved for 0.5 s")
    wait_until(lambda: processes(docker_api, container) == [])
    wait_until(lambda: server.sessions == [])


def test_what_moves_either_way_keeps_a_session_alive(serve):
    # Both last longer than the limit. The pauses are much shorter than the limit, because the machine may be busy.
    server = serve(idle_timeout=2.0)
    writes = Peer(server.url, "bash", "-c", "for i in {1..15}; do echo $i; sleep 0.2; done; exit 3").ready()
    reads = Peer(server.url, "bash", "-c", "while read; do :; done; exit 4").ready()
    for _ in range(15):
        reads.stdin(b"\n")
        gevent.sleep(0.2)
    reads.end()
    assert writes.transcript().exit_code == 3
    assert reads.transcript().exit_code == 4


def test_a_client_that_takes_nothing_is_idle(serve):
    """Pings and pongs are not activity, nor is output that a process is unable to write."""
    server = serve(idle_timeout=1.0, ping_interval=0.2)
    peer = Peer(server.url, "cat", "/dev/zero").ready()
    peer.pause()
    wait_until(lambda: server.sessions == [])
    assert_limited(peer.transcript(), "nothing moved for 1 s")


def test_a_slow_reader_is_not_idle(serve):
    server = serve(idle_timeout=1.0, output_limit=65536)
    peer = Peer(server.url, "head", "-c", "3000000", "/dev/zero", receive_buffer=4096).ready()
    received = 0
    while (message := peer.receive())[0] == 1:
        received += len(message) - 1
        gevent.sleep(0.02)
    assert (message, received) == (b"\xc8\x00", 3_000_000)


def test_a_session_that_lasts_too_long(serve, container, docker_api):
    server = serve(max_duration=1.0)
    begin = time.monotonic()
    peer = Peer(server.url, "bash", "-c", "while :; do echo; sleep 0.1; done").ready()
    transcript = peer.transcript()
    assert 1 < time.monotonic() - begin < 5
    assert transcript.stdout.startswith(b"\n")
    assert_limited(transcript, "it lasted 1 s")
    wait_until(lambda: processes(docker_api, container) == [])


def test_a_client_that_never_takes_the_end_is_cut(serve):
    """The process exited long ago, so nothing else would end the session."""
    server = serve(max_duration=1.0)
    peer = Peer(server.url, "echo", "hi").ready()
    peer.pause()
    wait_until(lambda: server.sessions == [])
    assert_limited(peer.transcript(), "it lasted 1 s")


def test_a_client_that_takes_nothing_at_all_is_cut(serve):
    """The error message waits behind unread output, so the connection ends without it."""
    server = serve(max_duration=1.0)
    peer = Peer(server.url, "cat", "/dev/zero", receive_buffer=4096).ready()
    wait_until(lambda: server.sessions == [])
    peer.socket.close()


@pytest.mark.parametrize("tty", [False, True])
def test_a_process_that_writes_too_much(serve, container, docker_api, tty):
    server = serve(max_output=100_000)
    transcript = Peer(server.url, "yes", tty=tty).transcript()
    line = b"y\r\n" if tty else b"y\n"
    assert transcript.stdout == (line * 100_000)[:100_000]
    assert_limited(transcript, "100000 bytes of output")
    wait_until(lambda: processes(docker_api, container) == [])


def test_both_streams_count(serve):
    server = serve(max_output=1000)
    script = "head -c 600 /dev/zero; head -c 600 /dev/zero >&2; sleep 1000"
    transcript = Peer(server.url, "bash", "-c", script).transcript()
    assert len(transcript.stdout) + len(transcript.stderr) == 1000
    assert_limited(transcript, "1000 bytes of output")


def test_exactly_the_limit_is_within_it(serve):
    server = serve(max_output=100_000)
    transcript = Peer(server.url, "head", "-c", "100000", "/dev/zero").transcript()
    assert (len(transcript.stdout), transcript.exit_code, transcript.errors) == (100_000, 0, [])


def test_limits_are_each_sessions_own(serve):
    server = serve(idle_timeout=2.0)
    with Peer(server.url, "cat").ready() as active:
        idle = Peer(server.url, "sleep", "1000").ready()
        for _ in range(20):
            active.stdin(b"x")
            active.until(b"x")
            gevent.sleep(0.15)
        assert_limited(idle.transcript(), "nothing moved for 2 s")
        active.end()
        assert Transcript(active).exit_code == 0
