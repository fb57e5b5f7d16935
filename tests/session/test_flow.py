"""Flow control: pauses, backpressure, and how much a session holds in memory."""

import secrets
import subprocess
import sys
import time

import gevent
import pytest

from dockerexec_ws.session.stdin_pump import STDIN_LIMIT
from tests.conftest import wait_until
from tests.peer import Peer, Transcript, masked
from tests.session.commands import run


def test_more_stdin_than_a_process_takes_is_paused_and_resumed(server):
    """The server sends 101 before it holds much, and 100 when the process has caught up. Every byte arrives."""
    flag = f"/tmp/{secrets.token_hex(8)}"
    with Peer(server.url, "bash", "-c", f"until [ -e {flag} ]; do sleep 0.05; done; rm {flag}; wc -c").ready() as peer:
        for _ in range(12):
            peer.stdin(bytes(512 * 1024))
        assert peer.receive() == b"\x65"
        assert run(server.url, "touch", flag).exit_code == 0
        assert peer.receive() == b"\x64"
        peer.end()
        transcript = Transcript(peer)
    assert transcript.stdout.strip() == str(12 * 512 * 1024).encode()
    assert transcript.exit_code == 0


def test_a_process_that_never_reads_stdin_costs_bounded_memory(server):
    """The server stops reading from a client that ignores 101, and still notices when it vanishes."""
    with Peer(server.url, "sleep", "1000").ready() as peer:
        sender = gevent.spawn(lambda: [peer.stdin(bytes(1024 * 1024)) for _ in range(100)])
        (session,) = server.sessions
        wait_until(lambda: session.stdin_waiting > STDIN_LIMIT)
        gevent.sleep(1)
        assert session.stdin_waiting < STDIN_LIMIT + 2 * 1024 * 1024
        sender.kill()
    wait_until(lambda: not server.sessions)


def test_resume_comes_for_every_4_mib_taken(server):
    with Peer(server.url, "bash", "-c", "cat >/dev/null; echo done").ready() as peer:
        for _ in range(4):
            for _ in range(4):
                peer.stdin(bytes(1024 * 1024))
            while peer.receive() != b"\x64":  # on a failure the test times out here
                pass
        peer.end()
        assert Transcript(peer).stdout == b"done\n"


def test_a_pause_holds_output_and_exit_code_until_one_resume(server):
    with Peer(server.url, "bash", "-c", "read; seq 3; echo e >&2; exit 3").ready() as peer:
        for _ in range(3):
            peer.pause()
        peer.stdin(b"\n")
        peer.end()
        peer.stdin(b"x")  # the answer shows that all before it was handled; a 202 is never held back
        assert peer.receive() == b"\xcastdin is closed"
        (session,) = server.sessions
        wait_until(lambda: session.exit_code == 3)
        peer.resume()
        transcript = Transcript(peer)
    assert transcript.messages == [b"\xc8\x03"]
    assert transcript.stdout == b"1\n2\n3\n"
    assert transcript.stderr == b"e\n"


def test_a_pause_does_not_hold_while_stdin_is_stalled(server):
    """Otherwise a client that pipes much data through cat would wait for ever, its 100 queued behind its stdin."""
    with Peer(server.url, "cat").ready() as peer:
        peer.pause()
        total = 48 * 1024 * 1024
        # More than the buffers on the way hold during a pause: 8 MiB of output, 2 MiB of stdin, and those of the engine
        # and the kernel.
        held = 16 * 1024 * 1024
        sender = gevent.spawn(lambda: [peer.stdin(bytes(1024 * 1024)) for _ in range(48)] and peer.end())
        received = 0
        while received < total - held:  # most of the output comes although the client has paused
            message = peer.receive()
            if message[0] == 1:
                received += len(message) - 1
        sender.get()
        peer.resume()
        transcript = Transcript(peer)
    assert received + len(transcript.stdout) == total
    assert transcript.exit_code == 0


@pytest.mark.parametrize("size", [1_300_000, 20_000_000])
@pytest.mark.parametrize("tty", [False, True])
def test_output_is_whole_when_the_client_pauses_while_the_process_exits(server, size, tty):
    """The engine drops output that is unread 2 s after the exit."""
    with Peer(server.url, "bash", "-c", f"head -c {size} /dev/zero; exit 7", tty=tty).ready() as peer:
        peer.pause()
        (session,) = server.sessions
        if size < 8_000_000:
            wait_until(lambda: session.exit_code == 7)
        else:
            gevent.sleep(5)  # longer than the engine waits; the process cannot exit until the client reads some
        peer.resume()
        transcript = Transcript(peer)
    assert len(transcript.stdout) == size
    assert transcript.exit_code == 7
    assert transcript.close_code == 1000


@pytest.mark.parametrize(
    ("options", "tty", "limit"),
    [
        ({}, False, 8 * 1024 * 1024),
        ({}, True, 256 * 1024),
        ({"output_limit": 100_000}, False, 100_000),
        ({"output_limit": 100_000}, True, 100_000),
    ],
)
def test_a_session_holds_bounded_output_while_its_process_runs(serve, options, tty, limit):
    server = serve(**options)
    with Peer(server.url, "cat", "/dev/zero", tty=tty).ready() as peer:
        peer.pause()
        (session,) = server.sessions
        wait_until(lambda: session.output_waiting > limit / 2)
        gevent.sleep(1)  # time for the server to ask twice whether the process has ended
        assert limit / 2 < session.output_waiting <= limit
        peer.resume()
        peer.until(bytes(2 * limit))
        assert session.exit_code is None


def test_output_is_whole_when_the_client_does_not_read_while_the_process_exits(server):
    with Peer(server.url, "bash", "-c", "head -c 20000000 /dev/zero; exit 7", receive_buffer=65536).ready() as peer:
        gevent.sleep(5)
        transcript = Transcript(peer)
    assert len(transcript.stdout) == 20_000_000
    assert transcript.exit_code == 7


def test_a_paused_session_whose_process_has_ended_holds_up_no_other(server):
    """While an ended exec has unread output, the engine reports the end of no other exec in the container."""
    with Peer(server.url, "bash", "-c", "cat /dev/zero & sleep 0.5; kill $!; exit 7").ready() as peer:
        peer.pause()
        (session,) = server.sessions
        wait_until(lambda: session.exit_code == 7)
        begin = time.monotonic()
        assert run(server.url, "echo", "hi").stdout == b"hi\n"
        assert time.monotonic() - begin < 2


def test_a_busy_client_does_not_stop_the_others(server):
    with Peer(server.url, "sleep", "1000").ready() as busy, Peer(server.url, "cat").ready() as peer:
        number = busy.socket.fileno()
        arguments = [sys.executable, "-c", FLOOD, str(number)]
        flooder = subprocess.Popen(arguments, stdin=subprocess.PIPE, pass_fds=[number])
        try:
            flooder.stdin.write(masked(2, b"\x64") * 20_000 + masked(2, b"\x03"))
            flooder.stdin.close()
            (session, _) = server.sessions
            wait_until(lambda: session.ignored_messages > 1)
            delays = []
            for _ in range(20):
                begin = time.monotonic()
                peer.stdin(b"x")
                assert peer.receive() == b"\x01x"
                delays.append(time.monotonic() - begin)
        finally:
            flooder.kill()
            flooder.wait()
        assert sorted(delays)[10] < 1
        peer.end()
        assert Transcript(peer).exit_code == 0


FLOOD = """
import socket, sys
data = sys.stdin.buffer.read()
sock = socket.socket(fileno=int(sys.argv[1]))
sock.setblocking(True)
while True:
    sock.sendall(data)
"""


def test_little_of_a_terminals_output_waits_on_the_way(server):
    """Output buffered between the process and a slow reader delays what the reader sees after Ctrl-C."""
    peer = Peer(server.url, "yes", "0123456789" * 8, tty=True, receive_buffer=64 * 1024).ready()
    (session,) = server.sessions
    seen = []

    def stands_still():
        seen.append(session.bytes_out)
        gevent.sleep(0.3)
        return 0 < seen[-1] == session.bytes_out

    wait_until(stands_still)
    assert session.bytes_out < 1_000_000
    peer.vanish()
