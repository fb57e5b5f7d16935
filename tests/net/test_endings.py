"""How a connection ends: all endings are distinguished, and the wait for each is bounded."""

import gc
import logging
import socket
import weakref
from types import SimpleNamespace

import gevent
import pytest
from websockets.frames import Opcode

from dockerexec_ws.errors import ConnectionClosedError
from dockerexec_ws.net.connection_end import EndingKind
from dockerexec_ws.protocol.v1 import Code
from tests.conftest import wait_until
from tests.peer import Peer, masked


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
    closing.get(timeout=10)
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
    closing.get(timeout=10)
    assert client.protocol.close_rcvd.code == 1001
    assert client.protocol.close_rcvd.reason == "é" * 61  # cut between characters, to fit a control frame
    assert (websocket.ending.kind, websocket.ending.code) == (EndingKind.WE_CLOSED, 1001)
    with pytest.raises(ConnectionClosedError):
        websocket.send(b"late")
    websocket.send_soon(b"late")


def test_close_waits_for_a_slow_reader_and_delivers(connect):
    websocket, client = connect(buffer=4096, close_timeout=0.2)

    def send():
        websocket.send(bytes(1_000_000))
        websocket.close(1000)

    sender = gevent.spawn(send)
    gevent.sleep(0.5)  # the reader is slow
    received = sum(len(frame.data) for frame in client.frames() if frame.opcode is Opcode.BINARY)
    assert received == 1_000_000
    assert client.protocol.close_rcvd.code == 1000
    client.socket.close()
    sender.get(timeout=10)


def test_close_gives_a_peer_that_does_not_answer_a_bounded_time(connect):
    websocket, _ = connect(close_timeout=0.3)
    with gevent.Timeout(3):
        websocket.close()


def test_close_with_patience_does_not_wait_for_a_reader_that_never_reads(connect):
    websocket, client = connect(buffer=4096)
    sender = gevent.spawn(websocket.send, bytes(10_000_000))
    assert client.socket.recv(1)
    with gevent.Timeout(3):
        websocket.close(1001, patience=0.2)
    with pytest.raises(ConnectionClosedError):
        sender.get(timeout=10)


def test_a_message_above_the_limit_is_told_by_its_header(connect):
    websocket, client = connect()
    client.send("send_binary", bytes(600), False)
    client.socket.sendall(b"\x80\xfe\x02\x58" + bytes(4))  # the header announces 600 bytes, none are sent
    assert websocket.receive() is None
    assert (websocket.ending.kind, websocket.ending.code) == (EndingKind.PROTOCOL_ERROR, 1009)


def test_a_peer_that_is_not_read_from_is_seen_to_hang_up(connect):
    websocket, client = connect(ping_interval=0)
    client.send("send_binary", b"read")
    client.send("send_binary", b"unread")
    assert websocket.receive() == b"read"
    client.socket.close()
    wait_until(lambda: websocket.ending)
    assert websocket.ending.kind is EndingKind.PEER_VANISHED


def test_a_peer_that_is_not_read_from_need_not_answer_pings(connect):
    """The peer's answers would wait unread behind its earlier messages."""
    websocket, client = connect(ping_interval=0.1, ping_timeout=0.1)
    client.send("send_binary", b"read")
    client.send("send_binary", b"unread")
    assert websocket.receive() == b"read"
    pings = iter(client.frames())
    assert [next(pings).opcode for _ in range(4)] == [Opcode.PING] * 4
    assert websocket.ending is None
    assert websocket.receive() == b"unread"


def test_a_peer_that_closes_in_mid_frame_has_vanished(connect):
    websocket, client = connect()
    client.send("send_binary", b"whole")
    client.socket.sendall(b"\x82\x85\x00\x00\x00\x00ha")  # 2 of 5 bytes
    client.socket.close()
    assert websocket.receive() == b"whole"
    assert websocket.receive() is None
    assert websocket.ending.kind is EndingKind.PEER_VANISHED
    websocket.close()


def test_what_came_before_the_close_frame_is_received(connect):
    websocket, client = connect()
    for message in (b"one", b"two"):
        client.protocol.send_binary(message)
    client.send("send_close", 1000)
    client.socket.shutdown(socket.SHUT_WR)
    assert [websocket.receive() for _ in range(3)] == [b"one", b"two", None]
    assert websocket.ending.kind is EndingKind.PEER_CLOSED


def test_abort_wakes_all_who_wait(connect):
    websocket, client = connect(buffer=4096)
    receiver = gevent.spawn(websocket.receive)
    senders = [gevent.spawn(websocket.send, bytes(10_000_000)) for _ in range(2)]
    assert client.socket.recv(1)
    websocket.abort()
    assert receiver.get(timeout=10) is None
    for sender in senders:
        with pytest.raises(ConnectionClosedError):
            sender.get(timeout=10)
    websocket.abort()  # idempotent
    assert websocket.ending.kind is EndingKind.WE_CLOSED


def test_a_close_that_is_killed_closes_the_socket(connect):
    websocket, client = connect()
    closing = gevent.spawn(websocket.close)
    assert client.socket.recv(100)  # the close frame; the client does not answer it
    closing.kill()
    assert client.server_socket.fileno() == -1


def test_nothing_keeps_a_connection_that_has_ended(connect):
    """The event loop must not keep it either, although the loop holds references to running timers."""
    websocket, client = connect()
    reference = weakref.ref(client.server_protocol)
    websocket.abort()
    del websocket, client
    gc.collect()
    assert reference() is None


def test_nobody_reads_after_the_end(connect):
    """The greenlet that closes waits while another one reads, and that one may read the end."""
    websocket, client = connect()
    ends = []
    reader = websocket._reader
    websocket._reader = SimpleNamespace(read=lambda: ends.append(reader.read()) or ends[-1])
    receiver, closing = gevent.spawn(websocket.receive), gevent.spawn(websocket.close)
    assert client.socket.recv(100)  # the close frame; the client does not answer it
    client.socket.shutdown(socket.SHUT_WR)
    gevent.joinall([receiver, closing], raise_error=True)
    assert ends == [None]
    assert websocket.ending.kind is EndingKind.WE_CLOSED


def test_a_receiver_takes_the_message_that_another_has_read(connect):
    websocket, client = connect()
    receivers = [gevent.spawn(websocket.receive) for _ in range(2)]
    gevent.idle()  # one reads, the other waits for it
    for message in (b"one", b"two"):
        client.protocol.send_binary(message)
    client.flush()
    assert {receiver.get(timeout=10) for receiver in receivers} == {b"one", b"two"}


def test_clients_that_leave_without_a_close_frame_are_not_logged(serve, caplog, capfd):
    caplog.set_level(logging.INFO)
    server = serve()

    def leave():
        peer = Peer(server.url, "true", send_at_once=masked(Opcode.BINARY, b"\x66"))
        output = b""
        while bytes([2, Code.STOPPED, 0]) not in output:
            output += peer.socket.recv(1000)
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.socket.recv(1000):
            pass

    gevent.joinall([gevent.spawn(leave) for _ in range(8)], raise_error=True, timeout=30)
    server.close()  # it waits for the sessions' greenlets
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr().err == ""
