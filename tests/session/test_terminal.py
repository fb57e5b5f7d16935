"""Sessions with a terminal: its size, its Ctrl-D."""

import gevent
import pytest

from tests.peer import Peer, Transcript


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


@pytest.mark.parametrize("data", [b"", b"line\n", b"no newline"])
def test_end_with_a_tty_types_ctrl_d(server, data):
    """A Ctrl-D is sent, because the engine would cut the output on a half-close."""
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
        peer.stdin(b"\x10")  # with default detach keys Ctrl-P is held back, and Ctrl-P Ctrl-Q ends the session
        peer.stdin(b"\x11\x10\x11")
        transcript = Transcript(peer)
    assert b"10 11 10 11" in transcript.stdout
    assert transcript.exit_code == 0
