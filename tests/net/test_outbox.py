"""Outgoing frames on socket pairs: in order, never torn, and nothing after a torn frame."""

import contextlib
import socket

import gevent
import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from dockerexec_ws.net.outbox import Outbox
from tests.conftest import wait_until

BIG = memoryview(bytes(3_000_000))  # more than a socket pair holds


class End:
    """An outbox, its protocol, the errors that broke it, and the peer's socket."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.protocol = ServerProtocol(state=State.OPEN)
        self.errors = []
        self.outbox = Outbox(self.ours, self.protocol, self.broken)

    def broken(self, error):
        self.errors.append(error)
        self.abort()

    def abort(self):
        self.outbox.close()
        with contextlib.suppress(OSError):
            self.ours.shutdown(socket.SHUT_RDWR)
        self.ours.close()

    def ping(self, data):
        """Make the protocol answer a ping."""
        peer = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
        peer.send_ping(data)
        self.protocol.receive_data(b"".join(peer.data_to_send()))
        self.outbox.owe(1)

    def frames(self, count):
        """Return the next *count* frames that the peer reads, as (opcode, data)."""
        peer = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=None)
        frames = []
        with gevent.Timeout(10):
            while len(frames) < count:
                peer.receive_data(self.theirs.recv(65536))
                frames += [(frame.opcode, bytes(frame.data)) for frame in peer.events_received()]
        assert peer.parser_exc is None
        return frames


@pytest.fixture
def end():
    end = End()
    yield end
    end.abort()
    end.theirs.close()


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_both_ways_make_the_same_frame(end, size):
    assert end.outbox.send_at_once([bytes(size)])
    end.outbox.put(bytes(size))
    writer = gevent.spawn(end.outbox.flush)
    assert end.frames(2) == [(Opcode.BINARY, bytes(size))] * 2
    writer.get(timeout=10)


def test_text_and_binary_are_told_apart(end):
    end.outbox.put("é")
    end.outbox.put(b"\xff")
    end.outbox.flush()
    assert end.frames(2) == [(Opcode.TEXT, "é".encode()), (Opcode.BINARY, b"\xff")]


def test_the_rest_of_a_torn_frame_goes_first(end):
    assert end.outbox.send_at_once([b"first", BIG])
    end.ping(b"p")
    end.outbox.put(b"second")
    end.outbox.flush_soon()
    assert not end.outbox.send_at_once([b"third"])
    assert end.frames(3) == [(Opcode.BINARY, b"first" + BIG), (Opcode.PONG, b"p"), (Opcode.BINARY, b"second")]


def test_pongs_and_messages_keep_their_order(end):
    for number in range(3):
        end.ping(b"%d" % number)
        end.outbox.put(b"%d" % number)
    end.outbox.flush()
    opcodes = [opcode for opcode, _ in end.frames(6)]
    assert opcodes == [Opcode.PONG, Opcode.BINARY] * 3


def test_what_is_queued_during_a_write_goes_out_with_it(end):
    end.outbox.put(bytes(BIG))
    writer = gevent.spawn(end.outbox.flush)
    wait_until(end.outbox.writing)
    end.ping(b"p")
    end.outbox.put(b"late")
    end.outbox.flush_soon()
    assert [opcode for opcode, _ in end.frames(3)] == [Opcode.BINARY, Opcode.PONG, Opcode.BINARY]
    writer.get(timeout=10)
    assert not end.outbox.writing()


def test_nothing_is_sent_at_once_while_something_is_queued(end):
    end.outbox.put(b"queued")
    assert not end.outbox.send_at_once([b"at once"])
    end.outbox.flush()
    assert end.outbox.send_at_once([b"at once"])
    assert end.frames(2) == [(Opcode.BINARY, b"queued"), (Opcode.BINARY, b"at once")]


def test_nothing_is_sent_at_once_with_compression():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        protocol = ServerProtocol(state=State.OPEN)
        protocol.extensions = [ServerPerMessageDeflateFactory().process_request_params([], [])[1]]
        outbox = Outbox(ours, protocol, lambda _: None)
        assert not outbox.send_at_once([b"x"])
        outbox.put(bytes(1000))
        outbox.flush()
        assert len(theirs.recv(65536)) < 100


def test_the_protocols_eof_is_sent_after_what_is_queued(end):
    end.outbox.put(b"x")
    end.protocol.writes.append(SEND_EOF)
    end.outbox.flush()
    assert end.frames(1) == [(Opcode.BINARY, b"x")]
    assert end.theirs.recv(1) == b""


@pytest.mark.parametrize("waits", [False, True])
def test_abort_in_mid_frame_ends_all_who_write(end, waits):
    end.outbox.put(bytes(BIG))
    writers = [gevent.spawn(end.outbox.flush)]
    wait_until(end.outbox.writing)
    if waits:
        end.outbox.put(b"behind it")
        writers.append(gevent.spawn(end.outbox.flush))
        gevent.idle()
    end.abort()
    for writer in writers:
        with pytest.raises(OSError, match=r"."):
            writer.get(timeout=10)
    assert len(end.errors) == 1


@pytest.mark.parametrize("stop", [lambda writer: writer.kill(), lambda writer: writer.kill(gevent.Timeout())])
def test_nothing_follows_a_frame_whose_writer_was_killed(end, stop):
    end.outbox.put(bytes(BIG))
    writer = gevent.spawn(end.outbox.flush)
    wait_until(end.outbox.writing)
    stop(writer)
    assert len(end.errors) == 1
    end.outbox.put(b"more")
    with pytest.raises(OSError, match=r"."):
        end.outbox.flush()
    received = 0
    while data := end.theirs.recv(65536):
        received += len(data)
    assert 0 < received < len(BIG)


def test_a_peer_that_resets_breaks_it_once(end):
    end.outbox.put(bytes(BIG))
    end.outbox.flush_soon()
    wait_until(end.outbox.writing)
    end.theirs.close()
    wait_until(lambda: end.errors)
    assert len(end.errors) == 1
    assert isinstance(end.errors[0], OSError)


def test_a_peer_that_does_not_read_is_waited_for(end):
    end.outbox.put(bytes(BIG))
    end.outbox.flush_soon()
    for _ in range(100):
        end.ping(b"")
    assert end.outbox.owes_too_much
    waiting = gevent.spawn(end.outbox.wait_for_reader)
    gevent.idle()
    assert not waiting.ready()
    assert len(end.frames(101)) == 101
    waiting.get(timeout=10)
    assert not end.outbox.owes_too_much


def test_an_abort_ends_the_wait_for_the_peer(end):
    end.outbox.put(bytes(BIG))
    end.outbox.flush_soon()
    for _ in range(100):
        end.ping(b"")
    waiting = gevent.spawn(end.outbox.wait_for_reader)
    gevent.idle()
    end.abort()
    waiting.get(timeout=10)
