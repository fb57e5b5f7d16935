"""Fixtures: a WebSocket and its client on a private TCP connection."""

import socket

import pytest
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from dockerexec_ws.net.websocket import WebSocket
from dockerexec_ws.parser_logging import frameless_logger


class Client:
    """The other end of the connection: ``websockets`` makes what it sends, and checks what it receives.

    *server_socket* and *server_protocol* belong to the WebSocket.
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
        """Yield all frames until the connection ends; answer a close frame."""
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
        return WebSocket(ours, protocol, max_size=1000, prefix=b"s", **options), Client(theirs, ours, protocol)

    yield connect
    for sock in sockets:
        sock.close()
