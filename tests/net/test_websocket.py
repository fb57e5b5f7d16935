"""The connection itself, on TCP sockets of the test's own: one writer, bounded, every ending told apart."""

import contextlib
import random
import socket

import gevent
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from dockerexec_ws.errors import ConnectionClosedError
from dockerexec_ws.frameless import frameless_logger
from dockerexec_ws.net.ending import EndingKind
from dockerexec_ws.net.websocket import WebSocket
from tests.conftest import wait_until


class Client:
    """The other end: what it sends is made by ``websockets``, what it receives is checked by it.

    *server_socket* and *server_protocol* are those that the WebSocket has.
    """

    def __init__(self, sock, server_socket, server_protocol):
        self.socket = sock
        self.server_socket = server_socket
        self.server_protocol = server_protocol
        self.protocol = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=None)

    def send(self, method, *arguments):
        getattr(self.protocol, method)(*arguments)
        self.flush()

    def flush(self):
        for data in self.protocol.data_to_send():
            if data:
                self.socket.sendall(data)

    def frames(self, size=65536):
        """All frames until the connection ends; a close frame is answered."""
        while data := self.socket.recv(size):
            self.protocol.receive_data(data)
            events = self.protocol.events_received()
            if self.protocol.close_rcvd is not None:
                self.flush()
            yield from events
        assert self.protocol.parser_exc is None


@pytest.fixture
def connect():
    """A function that makes a WebSocket and its client, with small buffers between them."""
    sockets = []

    def connect(buffer=None, **options):
        listener = socket.create_server(("127.0.0.1", 0))
        theirs = socket.socket()
        if buffer:
            for sock in (listener, theirs):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
        listener.close()
        sockets.extend([ours, theirs])
        protocol = ServerProtocol(state=State.OPEN, max_size=1000, logger=frameless_logger)
        return WebSocket(ours, protocol, **options), Client(theirs, ours, protocol)

    yield connect
    for sock in sockets:
        sock.close()


def test_tcp_nodelay_is_on(connect):
    _, client = connect()
    assert client.server_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_frame_is_mixed_with_another_under_load(connect):
    """Many senders, a stream, pings to answer, errors to tell and a close, all while the send buffer is full."""
    websocket, client = connect(buffer=4096)
    streamed = []

    def stream():
        """In parts that are overwritten at once, as those of a stream that is read again."""
        sizes = random.Random(4)
        for _ in range(300):
            size = sizes.randrange(1, 100_000)
            memory = memoryview(bytearray([4]) * size)
            if websocket.send_at_once([memory[: size // 2], memory[size // 2 :]]):
                streamed.append(size)
            memory[:] = bytes(size)
            gevent.sleep(0.0005)

    def send(number):
        sizes = random.Random(number)
        for _ in range(30):
            websocket.send(bytes([number]) * sizes.randrange(1, 200_000))

    senders = [gevent.spawn(stream), *(gevent.spawn(send, number) for number in range(4))]
    receiver = gevent.spawn(websocket.receive)

    def ask():
        for number in range(200):
            client.send("send_ping", b"%d" % number)
            gevent.sleep(0.001)

    asker = gevent.spawn(ask)
    closer = gevent.spawn(lambda: (gevent.joinall([*senders, asker]), websocket.close(1000, "done")))
    data, pongs = [], []
    for frame in client.frames(size=3000):
        if frame.opcode is Opcode.PONG:
            pongs.append(int(bytes(frame.data)))
            websocket.send_soon(b"soon")
        elif frame.opcode is Opcode.BINARY:
            data.append(bytes(frame.data))
    client.socket.close()
    assert [len(message) for message in data if message[0] == 4] == streamed
    assert streamed
    assert len([message for message in data if message != b"soon"]) == 4 * 30 + len(streamed)
    assert all(len(set(message)) == 1 for message in data if message != b"soon")
    assert pongs == list(range(200))
    assert client.protocol.close_rcvd.code == 1000
    gevent.joinall([*senders, asker, closer, receiver], raise_error=True)


def test_a_sender_killed_in_the_middle_of_a_frame_ends_the_connection(connect):
    """Nothing may follow half a frame."""
    websocket, client = connect(buffer=4096)
    sender = gevent.spawn(websocket.send, bytes(10_000_000))
    received = len(client.socket.recv(65536))
    sender.kill()
    with pytest.raises(ConnectionClosedError):
        websocket.send(b"more")
    with contextlib.suppress(ConnectionResetError):
        while data := client.socket.recv(65536):
            received += len(data)
    assert 0 < received < 10_000_000


def test_nothing_is_sent_at_once_where_something_has_to_wait(connect):
    websocket, client = connect(buffer=4096)
    big = memoryview(bytes(10_000_000))
    assert websocket.send_at_once([b"first", big])  # in part, by the kernel; the rest is ours
    assert not websocket.send_at_once([b"second"])
    received = gevent.spawn(lambda: [bytes(frame.data) for frame in client.frames()])
    wait_until(lambda: websocket.send_at_once([b"", b"third", *[b"x"] * 2000]))
    websocket.close()
    assert received.get()[:2] == [b"first" + big, b"third" + b"x" * 2000]
    assert not websocket.send_at_once([b"closed"])


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("payload", [b"", b"x" * 125])
def test_pings_that_nobody_reads_the_answers_of_cost_bounded_memory(connect, payload, busy):
    websocket, client = connect(buffer=4096)
    receiver = gevent.spawn(websocket.receive)
    sender = gevent.spawn(websocket.send, bytes(10_000_000) if busy else b"")

    for _ in range(100):
        client.protocol.send_ping(payload)
    pings = b"".join(client.protocol.data_to_send())

    def flood():
        while True:
            client.socket.sendall(pings)

    flooder = gevent.spawn(flood)
    gevent.sleep(1)
    assert sum(map(len, client.server_protocol.writes)) < 1_000_000
    flooder.kill()
    websocket.abort()
    receiver.get()
    assert websocket.ending.kind is EndingKind.WE_CLOSED
    sender.join()
    assert busy is isinstance(sender.exception, ConnectionClosedError)


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_ending_when_the_peer_closes(connect, code):
    websocket, client = connect()
    client.send("send_close", code, "why")
    assert websocket.receive() is None
    assert (websocket.ending.kind, websocket.ending.code, websocket.ending.reason) == (
        EndingKind.PEER_CLOSED,
        code,
        "why",
    )
    assert "why" in str(websocket.ending)
    closing = gevent.spawn(websocket.close)
    (frame,) = client.frames()
    assert frame.opcode is Opcode.CLOSE
    client.socket.close()
    closing.get(timeout=2)
    assert websocket.receive() is None
    websocket.close()  # idempotent


def test_ending_when_the_peer_vanishes(connect):
    websocket, client = connect()
    client.socket.close()
    assert websocket.receive() is None
    assert websocket.ending.kind is EndingKind.PEER_VANISHED
    websocket.close()


def test_ending_when_the_peer_resets(connect):
    websocket, client = connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    client.socket.close()
    with pytest.raises(ConnectionClosedError):
        websocket.send(bytes(10_000_000))
    assert websocket.ending.kind is EndingKind.PEER_VANISHED
    assert websocket.receive() is None


def test_ending_when_pings_are_not_answered(connect):
    websocket, _ = connect(ping_interval=0.1, ping_timeout=0.1)
    assert websocket.receive() is None
    assert websocket.ending.kind is EndingKind.PING_TIMEOUT


def test_ending_when_the_peer_breaks_the_protocol(connect):
    websocket, client = connect()
    client.socket.sendall(b"\x82\x01\x00")
    assert websocket.receive() is None
    assert (websocket.ending.kind, websocket.ending.code) == (EndingKind.PROTOCOL_ERROR, 1002)


def test_ending_when_we_close(connect):
    websocket, client = connect()
    closing = gevent.spawn(websocket.close, 1001, "é" * 100)
    assert [frame.opcode for frame in client.frames()] == [Opcode.CLOSE]
    client.socket.close()
    closing.get(timeout=2)
    assert client.protocol.close_rcvd.code == 1001
    assert client.protocol.close_rcvd.reason == "é" * 61  # cut between characters, to fit a control frame
    assert (websocket.ending.kind, websocket.ending.code) == (EndingKind.WE_CLOSED, 1001)
    with pytest.raises(ConnectionClosedError):
        websocket.send(b"late")
    websocket.send_soon(b"late")


def test_close_waits_for_a_slow_reader_and_delivers(connect):
    websocket, client = connect(buffer=4096)

    def send():
        websocket.send(bytes(3_000_000))
        websocket.close(1000)

    sender = gevent.spawn(send)
    gevent.sleep(1.5)  # the reader is slow
    received = sum(len(frame.data) for frame in client.frames() if frame.opcode is Opcode.BINARY)
    assert received == 3_000_000
    assert client.protocol.close_rcvd.code == 1000
    client.socket.close()
    sender.get(timeout=2)


def test_close_gives_a_peer_that_does_not_answer_a_bounded_time(connect):
    websocket, _ = connect(close_timeout=0.3)
    with gevent.Timeout(3):
        websocket.close()


def test_close_with_patience_does_not_wait_for_a_reader_that_never_reads(connect):
    websocket, _ = connect(buffer=4096)
    sender = gevent.spawn(websocket.send, bytes(10_000_000))
    gevent.sleep(0.1)
    with gevent.Timeout(3):
        websocket.close(1001, patience=0.5)
    with pytest.raises(ConnectionClosedError):
        sender.get(timeout=1)


def test_text_and_binary_are_told_apart(connect):
    websocket, client = connect()
    client.send("send_text", "é".encode())
    client.send("send_binary", b"\xff", False)
    client.send("send_ping", b"between")
    client.send("send_continuation", b"\xfe", True)
    assert websocket.receive() == "é"
    assert websocket.receive() == b"\xff\xfe"
    websocket.send("é")
    websocket.send(b"\xff")
    frames = client.frames()
    seen = [next(frames) for _ in range(3)]
    assert [frame.opcode for frame in seen] == [Opcode.PONG, Opcode.TEXT, Opcode.BINARY]


def test_a_message_above_the_limit_is_told_by_its_header(connect):
    websocket, client = connect()
    client.send("send_binary", bytes(600), False)
    client.socket.sendall(b"\x80\xfe\x02\x58" + bytes(4))  # 600 more are announced, none sent
    assert websocket.receive() is None
    assert (websocket.ending.kind, websocket.ending.code) == (EndingKind.PROTOCOL_ERROR, 1009)


def test_a_peer_that_is_not_read_from_is_seen_to_hang_up(connect):
    websocket, client = connect(ping_interval=0)
    client.send("send_binary", b"read")
    client.send("send_binary", b"unread")
    assert websocket.receive() == b"read"
    gevent.sleep(1.2)  # a look
    assert websocket.ending is None
    client.socket.close()
    wait_until(lambda: websocket.ending)
    assert websocket.ending.kind is EndingKind.PEER_VANISHED
