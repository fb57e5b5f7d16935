"""Sessions against a real engine, over the wire: the rows of the protocol's tables."""

import hashlib
import secrets
import subprocess
import sys
import time

import gevent
import pytest

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.protocol.v1 import Code
from dockerexec_ws.session.stdin_pump import STDIN_LIMIT
from tests.conftest import processes, wait_until
from tests.peer import HandshakeError, Peer, Transcript, masked


def run(url, *argv, stdin=None, tty=None, **options):
    """Run a command to its end; returns the Transcript."""
    with Peer(url, *argv, tty=tty, **options) as peer:
        if stdin is not None:
            for start in range(0, len(stdin), 60_000):
                peer.stdin(stdin[start : start + 60_000])
            peer.end()
        return Transcript(peer)


# Opening


@pytest.mark.parametrize(
    ("query", "argv"),
    [
        ("command=echo", [""]),
        ("command=echo&command=a+b&command=c%20d", ["a b c d"]),
        ("command=printf&command=%25s-&command=&command=b", ["-b-"]),
        ("command=echo&other=1&command=%C3%A9%F0%9F%98%80", ["é😀"]),
        ("tty=false&command=echo&command=x", ["x"]),
    ],
)
def test_argv_is_every_command_parameter_in_order(server, query, argv):
    with Peer(server.url, query=query) as peer:
        transcript = Transcript(peer)
    assert transcript.stdout.decode().rstrip("\n") == " ".join(argv)
    assert transcript.exit_code == 0
    assert transcript.close_code == 1000


@pytest.mark.parametrize(
    ("query", "tty"), [("tty=true", True), ("tty=TRUE", True), ("tty=1", False), ("tty=", False), ("", False)]
)
def test_tty_is_true_in_any_case(server, query, tty):
    with Peer(server.url, query=f"{query}&command=tty") as peer:
        transcript = Transcript(peer)
    assert transcript.stdout.startswith(b"/dev/pts/") is tty
    assert transcript.exit_code == (0 if tty else 1)


def test_wrapper_command_goes_before_the_clients(serve):
    server = serve(wrapper_command=["echo", "wrapped"])
    assert run(server.url, "a", "b c").stdout == b"wrapped a b c\n"


@pytest.mark.parametrize("query", ["", "tty=true", "command%20=echo", "command=%ff"])
def test_without_a_proper_command_nothing_runs(server, docker_api, container, query):
    before = docker_api.inspect_container(container)["ExecIDs"] or []
    with Peer(server.url, query=query) as peer:
        transcript = Transcript(peer)
    assert len(transcript.errors) == len(transcript.messages) == 1
    assert "command" in transcript.errors[0] or "UTF-8" in transcript.errors[0]
    assert transcript.close_code == 1008
    assert (docker_api.inspect_container(container)["ExecIDs"] or []) == before


def test_session_limit_frees_its_place_when_a_session_ends(serve):
    server = serve(max_sessions=2)
    counts = []
    server.subscribe("session added", counts.append)
    server.subscribe("session removed", counts.append)
    first = Peer(server.url, "cat").ready()
    second = Peer(server.url, "cat").ready()
    third = Transcript(Peer(server.url, "cat"))
    assert third.errors == ["Too many sessions active!"]
    assert third.close_code == 1013
    first.end()
    assert Transcript(first).exit_code == 0
    wait_until(lambda: len(server.sessions) == 1)
    assert run(server.url, "true").exit_code == 0
    second.end()
    assert Transcript(second).exit_code == 0
    wait_until(lambda: not server.sessions)
    assert counts == [1, 2, 1, 2, 1, 0]


def test_input_sent_before_ready_waits(server):
    with Peer(server.url, "cat", send_at_once=masked(2, b"\x00early") + masked(2, b"\x66")) as peer:
        transcript = Transcript(peer)
    assert transcript.stdout == b"early"
    assert transcript.exit_code == 0


# Streams


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_001])
def test_stdin_and_stdout_are_binary_safe(server, size):
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    transcript = run(server.url, "cat", stdin=data)
    assert transcript.stdout == data
    assert transcript.exit_code == 0


def test_stdout_and_stderr_stay_apart(server):
    transcript = run(server.url, "bash", "-c", "for i in {1..2000}; do echo out $i; echo err $i >&2; done")
    assert transcript.stdout.split() == b" ".join(b"out %d" % i for i in range(1, 2001)).split()
    assert transcript.stderr.split() == b" ".join(b"err %d" % i for i in range(1, 2001)).split()


def test_a_text_message_is_taken_as_its_bytes(server):
    with Peer(server.url, "cat").ready() as peer:
        peer.send_text("\x00é")
        peer.send_text("\x66")
        assert Transcript(peer).stdout == "é".encode()


def test_a_message_of_8_mib_and_a_byte(server):
    data = bytes(8 * 1024 * 1024 + 1)
    with Peer(server.url, "wc", "-c").ready() as peer:
        peer.stdin(data)
        peer.end()
        transcript = Transcript(peer)
    assert transcript.stdout.strip() == str(len(data)).encode()
    assert transcript.exit_code == 0


def test_a_message_above_the_limit_is_1009_and_ends_the_process(server, container, docker_api):
    with Peer(server.url, "cat").ready() as peer:
        peer.send_raw(bytes([0x82, 0xFF]) + (16 * 1024 * 1024 + 1).to_bytes(8, "big") + bytes(4))
        assert Transcript(peer).close_code == 1009
    wait_until(lambda: processes(docker_api, container) == [], timeout=3)


def test_more_stdin_than_a_process_takes_is_paused_and_resumed(server):
    """101 comes before much is held, 100 when the process has caught up, and every byte arrives."""
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
    """A client that ignores 101 is not read from any more, and is still seen to vanish."""
    with Peer(server.url, "sleep", "1000").ready() as peer:
        sender = gevent.spawn(lambda: [peer.stdin(bytes(1024 * 1024)) for _ in range(100)])
        (session,) = server.sessions
        wait_until(lambda: session._flow.stdin_pending > STDIN_LIMIT)
        gevent.sleep(1)
        assert session._flow.stdin_pending < STDIN_LIMIT + 2 * 1024 * 1024
        sender.kill()
    wait_until(lambda: not server.sessions, timeout=5)


def test_resume_comes_for_every_4_mib_taken(server):
    with Peer(server.url, "bash", "-c", "cat >/dev/null; echo done").ready() as peer:
        for _ in range(4):
            for _ in range(4):
                peer.stdin(bytes(1024 * 1024))
            while peer.receive() != b"\x64":  # the test's timeout is what fails here
                pass
        peer.end()
        assert Transcript(peer).stdout == b"done\n"


def test_a_pause_holds_output_and_exit_code_until_one_resume(server):
    with Peer(server.url, "bash", "-c", "read; seq 3; echo e >&2; exit 3").ready() as peer:
        for _ in range(3):
            peer.pause()
        peer.stdin(b"\n")
        peer.end()
        peer.stdin(b"x")  # its answer shows that everything before was dealt with; a 202 is never held
        assert peer.receive() == b"\xcastdin is closed"
        (session,) = server.sessions
        wait_until(lambda: session.exit_code == 3)
        peer.resume()
        transcript = Transcript(peer)
    assert transcript.messages == [b"\xc8\x03"]
    assert transcript.stdout == b"1\n2\n3\n"
    assert transcript.stderr == b"e\n"


def test_a_pause_does_not_hold_while_stdin_is_stalled(server):
    """Else a client that pipes much through cat and whose 100 queues behind its stdin would wait for ever."""
    with Peer(server.url, "cat").ready() as peer:
        peer.pause()
        total = 48 * 1024 * 1024
        # More than what waits on the way while output is held: 8 MiB in the output buffer, 2 MiB of stdin, and what the
        # engine and the kernel hold.
        held = 16 * 1024 * 1024
        sender = gevent.spawn(lambda: [peer.stdin(bytes(1024 * 1024)) for _ in range(48)] and peer.end())
        received = 0
        while received < total - held:  # most of it comes although the client has paused
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
    """The engine drops what is unread 2 s after the exit."""
    with Peer(server.url, "bash", "-c", f"head -c {size} /dev/zero; exit 7", tty=tty).ready() as peer:
        peer.pause()
        (session,) = server.sessions
        if size < 8_000_000:
            wait_until(lambda: session.exit_code == 7)
        else:
            gevent.sleep(5)  # longer than the engine waits; the process cannot exit before the client takes some
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
        wait_until(lambda: not session._output.buffer.room)
        gevent.sleep(1)  # two questions whether the process has ended
        held = session._output.buffer._size
        assert limit / 2 < held <= limit
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
    """The engine gives no other exec of the container its end while output of an ended one is unread."""
    with Peer(server.url, "bash", "-c", "cat /dev/zero & sleep 0.5; kill $!; exit 7").ready() as peer:
        peer.pause()
        (session,) = server.sessions
        wait_until(lambda: session.exit_code == 7)
        begin = time.monotonic()
        assert run(server.url, "echo", "hi").stdout == b"hi\n"
        assert time.monotonic() - begin < 2


def test_many_small_messages_cost_what_they_weigh(server):
    """Empty ones nothing, and those of a byte no object each."""
    with Peer(server.url, "sleep", "1000").ready() as peer:
        (session,) = server.sessions
        peer.stdin(bytes(1_000_000))  # more than the engine takes
        peer.send_raw(masked(2, b"\0") * 10_000 + masked(2, b"\0x") * 10_000 + masked(2, b"\x03"))
        wait_until(lambda: session.ignored_messages == 1)
        assert len(session._stdin._buffer._parts) < 10


def test_a_busy_client_does_not_stop_the_others(server):
    with Peer(server.url, "sleep", "1000").ready() as busy, Peer(server.url, "cat").ready() as peer:
        number = busy.socket.fileno()
        arguments = [sys.executable, "-c", FLOOD, str(number)]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE, pass_fds=[number]) as flooder:
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
            flooder.kill()
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


def test_what_follows_a_broken_message_is_not_taken(server):
    with Peer(server.url, "cat").ready() as peer:
        peer.send_raw(masked(1, b"\x00\xff") + masked(2, b"\x00must not run"))
        transcript = Transcript(peer)
    assert transcript.close_code == 1007
    assert transcript.stdout == b""


# Resize and end


def test_resize_is_seen_by_the_program(server):
    with Peer(
        server.url, "bash", "-c", "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.1; done", tty=True
    ) as peer:
        peer.until(b"up")
        peer.resize(31, 117)
        assert b"31 117" in Transcript(peer).stdout


def test_resize_at_once_is_not_lost(server):
    with Peer(server.url, "bash", "-c", "sleep 0.5; stty size", tty=True).ready() as peer:
        peer.resize(1, 1)
        peer.resize(40, 65535)
        assert Transcript(peer).stdout == b"40 65535\r\n"


def test_resize_without_a_tty_is_an_error_and_the_session_goes_on(server):
    with Peer(server.url, "cat").ready() as peer:
        peer.resize(24, 80)
        peer.stdin(b"on")
        peer.end()
        transcript = Transcript(peer)
    assert transcript.errors == ["cannot resize, not a tty instance"]
    assert (transcript.stdout, transcript.exit_code) == (b"on", 0)


@pytest.mark.parametrize("payload", [b"", b"\x18", b"\x18\x00\x50", b"\x18\x00\x50\x00\x00"])
@pytest.mark.parametrize("tty", [False, True])
def test_a_malformed_resize_is_an_error_and_the_session_goes_on(server, payload, tty):
    with Peer(server.url, "bash", "-c", "read x; echo got $x", tty=tty).ready() as peer:
        peer.send(b"\x32" + payload)
        peer.stdin(b"on\n")
        transcript = Transcript(peer)
    assert len(transcript.errors) == 1
    assert "resize" in transcript.errors[0]
    assert b"got on" in transcript.stdout
    assert transcript.exit_code == 0


def test_stdin_after_end_is_an_error_and_the_session_goes_on(server):
    with Peer(server.url, "bash", "-c", "cat; sleep 0.3; echo after").ready() as peer:
        peer.stdin(b"before ")
        peer.end()
        peer.stdin(b"too late")
        peer.end()
        transcript = Transcript(peer)
    assert transcript.errors == ["stdin is closed", "stdin is closed"]
    assert (transcript.stdout, transcript.exit_code) == (b"before after\n", 0)


@pytest.mark.parametrize("data", [b"", b"line\n", b"no newline"])
def test_end_with_a_tty_types_ctrl_d(server, data):
    """Not a half-close, on which the engine would cut the output."""
    with Peer(server.url, "bash", "-c", "stty -echo; echo up; wc -c; sleep 0.5; echo after", tty=True) as peer:
        peer.until(b"up\r\n")
        if data:
            peer.stdin(data)
        peer.end()
        transcript = Transcript(peer)
    assert transcript.stdout.split() == [str(len(data)).encode(), b"after"]
    assert transcript.exit_code == 0


def test_a_second_end_with_a_tty_types_nothing(server):
    with Peer(server.url, "bash", "--norc", tty=True) as peer:
        peer.stdin(b"PS1=; stty -echo; cat; echo cat-ended\n")
        peer.end()
        peer.until(b"cat-ended\r\n")
        peer.end()
        while peer.receive() != b"\xcastdin is closed":
            pass
        gevent.sleep(0.5)  # a shell that got a Ctrl-D would have ended
        assert len(server.sessions) == 1


def test_detach_keys_are_out_of_the_way(server):
    with Peer(server.url, "bash", "-c", "stty raw -echo; echo up; head -c 4 | od -An -tx1", tty=True) as peer:
        peer.until(b"up")
        peer.stdin(b"\x10")  # Ctrl-P alone would be withheld, Ctrl-P Ctrl-Q would end the session
        peer.stdin(b"\x11\x10\x11")
        transcript = Transcript(peer)
    assert b"10 11 10 11" in transcript.stdout
    assert transcript.exit_code == 0


def test_unknown_and_empty_messages_are_ignored_and_counted(server):
    with Peer(server.url, "cat").ready() as peer:
        for message in (b"", b"\x03", b"\xff\x00", b"\xc8\x00"):
            peer.send(message)
        (session,) = server.sessions
        wait_until(lambda: session.ignored_messages == 4)
        peer.end()
        transcript = Transcript(peer)
    assert transcript.messages == [b"\xc8\x00"]


# Exit codes and ends


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 1", 1), ("exit 200", 200), ("exit 255", 255), ("kill -9 $$", 137)]
)
def test_exit_codes(server, script, code, tty):
    transcript = run(server.url, "bash", "-c", script, tty=tty)
    assert transcript.messages == [b"\x64", bytes([0xC8, code])]
    assert transcript.close_code == 1000


@pytest.mark.parametrize(("command", "text"), [("nosuch", b"not found"), ("/etc/passwd", b"permission denied")])
@pytest.mark.parametrize("tty", [False, True])
def test_a_command_that_cannot_be_run(server, command, text, tty):
    transcript = run(server.url, command, tty=tty)
    said, other = (transcript.stdout, transcript.stderr) if tty else (transcript.stderr, transcript.stdout)
    assert text in said
    assert other == b""
    assert transcript.exit_code == 126


def test_a_programs_own_output_with_cr_lf_stays_stdout(server):
    transcript = run(server.url, "printf", "OCI runtime exec failed: nosuch: not found\r\n")
    assert transcript.stdout.startswith(b"OCI runtime")
    assert transcript.stderr == b""


def test_a_background_child_that_keeps_stdout_open_delays_the_end_by_2_s_only(server, container, docker_api):
    transcript = run(server.url, "bash", "-c", "echo main; sleep 33 & exit 5")
    assert transcript.stdout == b"main\n"
    assert transcript.exit_code == 5
    assert processes(docker_api, container) == ["sleep 33"]  # as with docker exec: what ends by itself is left alone
    with Peer(
        server.url,
        "bash",
        "-c",
        "kill $(grep -l sleep /proc/[0-9]*/comm | tr -cd '0-9\\n' | while read p; do "
        "grep -q 33 /proc/$p/cmdline && echo $p; done)",
    ) as peer:
        Transcript(peer)
    wait_until(lambda: processes(docker_api, container) == [])


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
    with gevent.Timeout(2.0 + 0.5, AssertionError("processes are left")):  # and what `top` itself takes
        while len(processes(docker_api, container)) > 1:
            gevent.sleep(0.05)
    for peer in peers:
        peer.socket.close()
    bystander.stdin(b"\n")
    assert Transcript(bystander).stdout == b"alive\n"
    wait_until(lambda: not server.sessions)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x82\x01\x00", 1002),  # unmasked
        (masked(2, b"x")[:1] + b"\xff" + b"\xff" * 8 + bytes(4), 1009),  # a length above 2**63
        (b"\xc2\x80" + bytes(4), 1002),  # a reserved bit
        (b"\x83\x80" + bytes(4), 1002),  # a reserved opcode
        (b"\x89\xfe\x00\x7e" + bytes(4 + 126), 1002),  # a ping of 126 bytes
        (masked(1, b"\x00\xff"), 1007),  # text that is not UTF-8
        (masked(0, b"\x00"), 1002),  # a continuation of nothing
    ],
)
def test_a_malformed_frame_closes_that_client_alone(server, frame, code):
    other = Peer(server.url, "cat").ready()
    with Peer(server.url, "cat").ready() as peer:
        peer.send_raw(frame)
        assert Transcript(peer).close_code == code
    other.end()
    assert Transcript(other).exit_code == 0
    wait_until(lambda: not server.sessions)


def test_fragmented_messages_are_put_together(server):
    with Peer(server.url, "cat").ready() as peer:
        peer.send_raw(masked(2, b"\x00one ", fin=False) + masked(9, b"ping") + masked(0, b"two", fin=True))
        peer.send_raw(masked(1, b"\x00\xc3", fin=False) + masked(0, b"\xa9", fin=True) + masked(2, b"\x66"))
        assert Transcript(peer).stdout == "one twoé".encode()


def test_an_exit_code_of_a_failed_sessions_killed_process_is_not_told(server, monkeypatch):
    """The last word is the 202: the code would be our own signal's."""

    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(Exec, "resize", fail)
    with Peer(server.url, "sleep", "1000", tty=True).ready() as peer:
        peer.resize(1, 1)
        transcript = Transcript(peer)
    assert transcript.messages == [b"\xcainternal error"]
    assert transcript.close_code == 1011


# The engine goes, or the container


def test_a_container_that_does_not_run_is_an_error(serve, own_container, docker_api):
    server = serve(own_container)
    docker_api.pause(own_container)
    transcript = run(server.url, "true")
    assert "paused" in transcript.errors[0]
    assert transcript.close_code == 1011
    docker_api.unpause(own_container)
    assert run(server.url, "true").exit_code == 0
    docker_api.stop(own_container, timeout=0)
    transcript = run(server.url, "true")
    assert "not running" in transcript.errors[0]
    assert transcript.close_code == 1011
    docker_api.remove_container(own_container)
    transcript = run(server.url, "true")
    assert "container" in transcript.errors[0]
    assert transcript.close_code == 1011


def test_a_container_stopped_in_mid_session_ends_it_by_137(serve, own_container, docker_api):
    server = serve(own_container)
    with Peer(server.url, "bash", "-c", "echo up; sleep 1000").ready() as peer:
        peer.until(b"up")
        docker_api.kill(own_container)
        transcript = Transcript(peer)
    assert transcript.exit_code == 137


# Shutdown


def test_close_sends_201_and_1001_and_ends_the_processes(serve, container, docker_api):
    server = serve()
    scripts = ["sleep 1000", "trap '' HUP; while :; do sleep 1; done", "cat /dev/zero", "sleep 1000 & setsid sleep 999"]
    peers = [Peer(server.url, "bash", "-c", script).ready() for script in scripts]
    wait_until(lambda: len(processes(docker_api, container)) >= 6)
    readers = [gevent.spawn(Transcript, peer) for peer in peers]
    with gevent.Timeout(5.0):
        server.close()
    for reader in readers:
        transcript = reader.get()
        assert transcript.messages == [b"\xc9"]
        assert transcript.close_code == 1001
    wait_until(lambda: processes(docker_api, container) == [], timeout=2)
    assert server.sessions == []


def test_close_does_not_wait_for_a_client_that_does_not_read(serve, container, docker_api):
    server = serve()
    peer = Peer(server.url, "cat", "/dev/zero", receive_buffer=65536).ready()
    gevent.sleep(1)  # until all buffers are full
    with gevent.Timeout(5.0):
        server.close()
    wait_until(lambda: processes(docker_api, container) == [], timeout=2)
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
    with gevent.Timeout(5.0):
        closing.get()


# Keepalive


def test_a_silent_peer_is_dead_after_interval_and_timeout(serve, container, docker_api):
    server = serve(ping_interval=0.3, ping_timeout=0.3)
    peer = Peer(server.url, "sleep", "1000").ready()
    wait_until(lambda: not server.sessions, timeout=5)
    wait_until(lambda: processes(docker_api, container) == [], timeout=2)
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
    """Pings wait behind unread output, in our buffers or in the peer's own."""
    server = serve(ping_interval=0.2, ping_timeout=0.2)
    script = f"head -c {size} /dev/zero; read"
    with Peer(server.url, "bash", "-c", script, receive_buffer=65536).ready() as peer:
        gevent.sleep(2)
        peer.stdin(b"\n")
        gevent.sleep(1)
        transcript = Transcript(peer)
    assert len(transcript.stdout) == size
    assert transcript.exit_code == 1 or transcript.exit_code == 0


# Many, and much


@pytest.mark.heavy
def test_300_sessions_lose_nothing(serve):
    server = serve(max_sessions=20)

    def one(number):
        transcript = run(server.url, "echo", f"session {number}")
        return transcript.stdout, transcript.exit_code, transcript.close_code

    pool = gevent.pool.Pool(10)
    results = pool.map(one, range(300))
    assert results == [(b"session %d\n" % number, 0, 1000) for number in range(300)]


@pytest.mark.slow
def test_1_gb_out_byte_exact(server):
    digest = hashlib.md5()
    rest = []
    with Peer(server.url, "bash", "-c", "head -c 1000000000 /dev/urandom | tee >(md5sum >&2)").ready() as peer:
        while (message := peer.receive())[0] != Code.STOPPED:
            if message[0] == Code.STDOUT:
                digest.update(message[1:])
            else:
                rest.append(message)
    assert message == b"\xc8\x00"
    assert b"".join(rest).split()[0] == b"\x02" + digest.hexdigest().encode()


@pytest.mark.slow
def test_300_mb_in_byte_exact(server):
    digest = hashlib.md5()
    with Peer(server.url, "md5sum").ready() as peer:
        for number in range(300):
            data = number.to_bytes(4, "big") * 250_000
            digest.update(data)
            peer.stdin(data)
        peer.end()
        transcript = Transcript(peer)
    assert transcript.exit_code == 0
    assert transcript.stdout.split()[0].decode() == digest.hexdigest()


def test_little_of_a_terminals_output_waits_on_the_way(server):
    """What waits between the process and a slow reader delays what it sees after Ctrl-C."""
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
