"""The connection itself: messages arrive whole and in order both ways, in bounded memory."""

import contextlib
import random
import socket

import gevent
import pytest
from websockets.frames import Opcode

from dockerexec_ws.errors import ConnectionClosedError
from dockerexec_ws.net.connection_end import EndingKind
from tests.conftest import wait_until


def test_tcp_nodelay_is_on(connect):
    _, client = connect()
    assert client.server_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_frame_is_mixed_with_another_under_load(connect):
    """Senders, a stream, pings to answer, error messages and a close compete while the send buffer is full."""
    websocket, client = connect(buffer=4096)
    streamed = []

    def stream():
        """Send parts whose memory is overwritten at once, as a stream's is when it is read again."""
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
    """Nothing may follow a partial frame."""
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
    websocket, client = connect(buffer=4096, close_timeout=0.2)
    big = memoryview(bytes(1_000_000))
    assert websocket.send_at_once([b"first", big])  # the kernel takes a part, the outbox keeps the rest
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

    sent = 0

    def flood():
        nonlocal sent
        while True:
            client.socket.sendall(pings)
            sent += 1

    flooder = gevent.spawn(flood)
    before = -1
    while before < sent:  # until the server stops reading
        before = sent
        gevent.sleep(0.2)
    assert sum(map(len, client.server_protocol.writes)) < 1_000_000
    flooder.kill()
    websocket.abort()
    receiver.get()
    assert websocket.ending.kind is EndingKind.WE_CLOSED
    sender.join()
    assert busy is isinstance(sender.exception, ConnectionClosedError)


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
