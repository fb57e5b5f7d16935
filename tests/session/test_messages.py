"""How the server handles the bytes of messages, and messages that make no sense."""

import pytest

from tests.conftest import processes, wait_until
from tests.peer import Peer, Transcript, masked
from tests.session.commands import run


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
    wait_until(lambda: processes(docker_api, container) == [])


def test_fragmented_messages_are_put_together(server):
    with Peer(server.url, "cat").ready() as peer:
        peer.send_raw(masked(2, b"\x00one ", fin=False) + masked(9, b"ping") + masked(0, b"two", fin=True))
        peer.send_raw(masked(1, b"\x00\xc3", fin=False) + masked(0, b"\xa9", fin=True) + masked(2, b"\x66"))
        assert Transcript(peer).stdout == "one twoé".encode()


def test_what_follows_a_broken_message_is_not_taken(server):
    with Peer(server.url, "cat").ready() as peer:
        peer.send_raw(masked(1, b"\x00\xff") + masked(2, b"\x00must not run"))
        transcript = Transcript(peer)
    assert transcript.close_code == 1007
    assert transcript.stdout == b""


def test_stdin_after_end_is_an_error_and_the_session_goes_on(server):
    with Peer(server.url, "bash", "-c", "cat; sleep 0.3; echo after").ready() as peer:
        peer.stdin(b"before ")
        peer.end()
        peer.stdin(b"too late")
        peer.end()
        transcript = Transcript(peer)
    assert transcript.errors == ["stdin is closed", "stdin is closed"]
    assert (transcript.stdout, transcript.exit_code) == (b"before after\n", 0)


def test_unknown_and_empty_messages_are_ignored_and_counted(server):
    with Peer(server.url, "cat").ready() as peer:
        for message in (b"", b"\x03", b"\xff\x00", b"\xc8\x00"):
            peer.send(message)
        (session,) = server.sessions
        wait_until(lambda: session.ignored_messages == 4)
        peer.end()
        transcript = Transcript(peer)
    assert transcript.messages == [b"\xc8\x00"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x82\x01\x00", 1002),  # unmasked
        (masked(2, b"x")[:1] + b"\xff" + b"\xff" * 8 + bytes(4), 1009),  # a length above 2**63
        (b"\xc2\x80" + bytes(4), 1002),  # a reserved bit
        (b"\x83\x80" + bytes(4), 1002),  # a reserved opcode
        (b"\x89\xfe\x00\x7e" + bytes(4 + 126), 1002),  # a ping of 126 bytes
        (masked(1, b"\x00\xff"), 1007),  # text that is not UTF-8
        (masked(0, b"\x00"), 1002),  # a continuation without a beginning
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


def test_a_programs_own_output_with_cr_lf_stays_stdout(server):
    transcript = run(server.url, "printf", "OCI runtime exec failed: nosuch: not found\r\n")
    assert transcript.stdout.startswith(b"OCI runtime")
    assert transcript.stderr == b""
