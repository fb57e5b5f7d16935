"""permessage-deflate (RFC 7692): it is on only by request, and the decompressed size of a message is bounded."""

import socket
import zlib

import gevent
import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.protocol import State
from websockets.server import ServerProtocol

from dockerexec_ws.net.websocket import WebSocket
from tests.conftest import wait_until
from tests.peer import Peer, Transcript


def offer():
    return {"extensions": [ClientPerMessageDeflateFactory()]}


def compressed_frame(data, *, opcode=2, fin=True):
    """A hand-made masked frame that carries *data* compressed."""
    compressor = zlib.compressobj(9, wbits=-12)
    payload = (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    head = bytes([(fin << 7) | 0x40 | opcode, 0xFF]) + len(payload).to_bytes(8, "big")
    return head + bytes(4) + payload


def test_it_is_off_by_default(server):
    with Peer(server.url, "echo", "hi", **offer()) as peer:
        assert not peer.protocol.extensions
        assert Transcript(peer).stdout == b"hi\n"


def test_a_client_that_does_not_offer_it_gets_none(serve):
    with Peer(serve(compress=True).url, "echo", "hi") as peer:
        assert not peer.protocol.extensions
        assert Transcript(peer).stdout == b"hi\n"


def test_both_ways(serve):
    server = serve(compress=True)
    with Peer(server.url, "cat", **offer()).ready() as peer:
        assert peer.protocol.extensions
        received = 0
        receive_data = peer.protocol.receive_data

        def count(data):
            nonlocal received
            received += len(data)
            receive_data(data)

        peer.protocol.receive_data = count
        for _ in range(8):
            peer.stdin(b"0123456789abcdef" * 65536)
        peer.end()
        transcript = Transcript(peer)
    assert transcript.stdout == b"0123456789abcdef" * 65536 * 8
    assert transcript.exit_code == 0
    assert 0 < received < 200_000


@pytest.mark.parametrize("size", [100_000, 100_001])
def test_a_message_is_limited_by_what_it_unfolds_to(serve, size):
    server = serve(compress=True, max_message_size=100_000)
    with Peer(server.url, "wc", "-c", **offer()).ready() as peer:
        peer.send_raw(compressed_frame(bytes(size)))
        if size == 100_000:
            peer.end()
        transcript = Transcript(peer)
    if size == 100_000:
        assert transcript.stdout.strip() == b"99999"  # the first byte is the message's code
        assert transcript.close_code == 1000
    else:
        assert transcript.close_code == 1009
        assert transcript.stdout == b""
    wait_until(lambda: not server.sessions)


def test_a_fragmented_message_is_limited_as_a_whole(serve):
    server = serve(compress=True, max_message_size=100_000)
    with Peer(server.url, "wc", "-c", **offer()).ready() as peer:
        header_of_the_rest = b"\x80\xff" + (40_001).to_bytes(8, "big") + bytes(4)
        peer.send_raw(compressed_frame(bytes(60_000), fin=False) + header_of_the_rest)
        assert Transcript(peer).close_code == 1009
    wait_until(lambda: not server.sessions)


def test_what_does_not_decompress_is_1002(serve):
    server = serve(compress=True)
    with Peer(server.url, "cat", **offer()).ready() as peer:
        peer.send_raw(b"\xc2\x84" + bytes(4) + b"\xff\xff\xff\xff")
        assert Transcript(peer).close_code == 1002
    wait_until(lambda: not server.sessions)


def test_many_messages_that_unfold_arrive(serve):
    server = serve(compress=True)
    with Peer(server.url, "wc", "-c", **offer()).ready() as peer:
        message = compressed_frame(bytes(1024 * 1024))
        peer.send_raw(message * 50)
        peer.end()
        assert Transcript(peer).stdout.strip() == str(50 * (1024 * 1024 - 1)).encode()
    wait_until(lambda: not server.sessions)


def test_many_messages_that_unfold_cost_bounded_memory():
    """Each message grows a thousandfold: only a few compressed ones may be held from one read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        protocol = ServerProtocol(state=State.OPEN)
        protocol.extensions = [ServerPerMessageDeflateFactory().process_request_params([], [])[1]]
        websocket = WebSocket(ours, protocol, max_size=2**20, prefix=b"s")
        sender = gevent.spawn(theirs.sendall, compressed_frame(bytes(1024 * 1024)) * 100)
        held = len(websocket.receive())
        websocket.abort()  # from here on only data that was read before is received
        while (message := websocket.receive()) is not None:
            held += len(message)
        sender.kill()
    assert 1024 * 1024 <= held < 20 * 1024 * 1024
