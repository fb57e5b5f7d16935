"""Output that the engine might drop or hold back: every byte still arrives before 200."""

import hashlib
import socket
import time

import gevent
import pytest

from tests.conftest import processes, wait_until
from tests.peer import Peer
from tests.relay import relay

PAUSE = 10.0


def content(size):
    """Varied bytes, and the script that makes them in a container."""
    return (
        b"".join(b"%d\n" % number for number in range(size // 4))[:size],
        f"seq 0 {size // 4} | head -c {size}; exit 7",
    )


def assert_whole(transcript, expected):
    assert (len(transcript.stdout), transcript.exit_code) == (len(expected), 7)
    assert hashlib.md5(transcript.stdout).digest() == hashlib.md5(expected).digest()
    assert transcript.close_code == 1000


@pytest.mark.heavy
def test_30_clients_that_are_paused_for_10_s_while_their_processes_exit(serve):
    """15 sessions have output that the engine's buffers hold in part, 15 exceed the limit of output."""
    server = serve(max_sessions=40)
    contents = [content(1_300_000), content(20_000_000)] * 15
    peers = [Peer(server.url, "bash", "-c", script).ready() for _, script in contents]
    for peer in peers:
        peer.pause()
    gevent.sleep(PAUSE)
    for peer in peers:
        peer.resume()
    for (expected, _), peer in zip(contents, peers, strict=True):
        assert_whole(peer.transcript(), expected)


@pytest.mark.parametrize("tty", [False, True])
def test_a_reader_that_is_slow_but_steady(serve, tty):
    """The buffer keeps getting room, but too slowly for all that the engine holds when the process exits."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)  # as on a slow line; accepted sockets inherit this
    server = serve(output_limit=65536, listener=listener)
    expected, script = content(2_000_000)  # slightly more than all buffers on the way hold
    if tty:
        expected = expected.replace(b"\n", b"\r\n")
    peer = Peer(server.url, "bash", "-c", script, tty=tty, receive_buffer=4096).ready()
    messages = []
    slow_until = time.monotonic() + 7
    while (message := peer.receive())[0] == 1:
        messages.append(message[1:])
        if time.monotonic() < slow_until:
            gevent.sleep(len(message) / 250_000)
    assert message == b"\xc8\x07"
    assert b"".join(messages) == expected


def test_a_paused_client_whose_process_exits_delays_nobody(serve):
    server = serve()
    with Peer(server.url, "bash", "-c", "read; head -c 9000000 /dev/zero; exit 7").ready() as paused:
        others = [Peer(server.url, "bash", "-c", f"sleep {seconds}; exit 3").ready() for seconds in (0.5, 1, 1.5, 2)]
        begin = time.monotonic()
        paused.pause()
        paused.stdin(b"\n")
        for number, peer in enumerate(others, 1):
            assert peer.transcript().exit_code == 3
            assert time.monotonic() - begin < number * 0.5 + 1
        wait_until(lambda: len(server.sessions) == 1)
        wait_until(lambda: server.sessions[0].exit_code == 7)
        paused.resume()
        assert len(paused.transcript().stdout) == 9_000_000


@pytest.mark.parametrize("size", [4_500_000, 12_000_000, 14_000_000])
@pytest.mark.parametrize("tty", [False, True])
def test_an_engine_behind_tcp_holds_more_than_one_on_a_unix_socket(serve, docker_host, size, tty):
    """The kernel buffers on the way may hold megabytes of an ended process's output."""
    tcp = relay(docker_host.removeprefix("unix://"))
    tcp.start()
    try:
        server = serve(docker_host=f"tcp://127.0.0.1:{tcp.server_port}")
        peer = Peer(server.url, "bash", "-c", f"head -c {size} /dev/zero; exit 7", tty=tty).ready()
        peer.pause()
        gevent.sleep(3)
        peer.resume()
        transcript = peer.transcript()
        assert (len(transcript.stdout), transcript.exit_code) == (size, 7)
    finally:
        tcp.stop(timeout=0)


def test_more_than_the_bound_after_the_exit_is_a_background_childs(serve, container, docker_api):
    """The session still ends with the exit code. The child gets SIGPIPE when the engine closes its pipe."""
    server = serve()
    peer = Peer(server.url, "bash", "-c", "cat /dev/zero & sleep 0.3; exit 7").ready()
    peer.pause()
    (session,) = server.sessions
    wait_until(lambda: session.exit_code == 7)
    assert session.output_waiting < 25 * 1024 * 1024
    peer.resume()
    transcript = peer.transcript()
    assert (transcript.exit_code, transcript.close_code) == (7, 1000)
    assert 8_000_000 < len(transcript.stdout) < 25 * 1024 * 1024
    wait_until(lambda: processes(docker_api, container) == [])


def test_stdin_that_was_accepted_arrives_whole_and_then_its_end(serve):
    server = serve()
    expected, _ = content(5_000_000)
    peer = Peer(server.url, "bash", "-c", "sleep 1; md5sum; echo end").ready()
    for start in range(0, len(expected), 100_000):
        peer.stdin(expected[start : start + 100_000])
    peer.end()
    assert peer.transcript().stdout.split() == [hashlib.md5(expected).hexdigest().encode(), b"-", b"end"]


@pytest.mark.parametrize("tty", [False, True])
def test_a_process_that_closes_its_stdin_is_no_error_for_its_output(serve, tty):
    server = serve()
    peer = Peer(server.url, "bash", "-c", "exec <&-; echo up; sleep 0.5; seq 100000; exit 7", tty=tty).ready()
    sender = gevent.spawn(lambda: [peer.stdin(bytes(10_000)) for _ in range(20)])
    transcript = peer.transcript()
    sender.kill()
    assert transcript.stdout.split()[-1] == b"100000"
    assert (transcript.exit_code, transcript.errors) == (7, [])
