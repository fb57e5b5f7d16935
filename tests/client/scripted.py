"""Servers that follow a script, for the fixture ``listen``."""

import socket

from websockets.http11 import Request
from websockets.server import ServerProtocol

READY = b"\x64"


def upgraded(connection):
    """Do the opening handshake; return the protocol, which makes frames."""
    protocol = ServerProtocol()
    while not (events := protocol.events_received()):
        protocol.receive_data(connection.recv(65536))
    (request,) = events
    assert isinstance(request, Request)
    protocol.send_response(protocol.accept(request))
    return protocol


def say(*messages, close=None, then=b""):
    """A server that sends messages, optionally a close frame, and raw bytes, then waits for the client to end."""

    def handle(connection):
        protocol = upgraded(connection)
        for message in messages:
            protocol.send_binary(message)
        if close is not None:
            protocol.send_close(*close)
        for data in protocol.data_to_send():
            if data:
                connection.sendall(data)
        connection.sendall(then)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    return handle


def answer(data):
    def handle(connection):
        connection.recv(65536)
        connection.sendall(data)

    return handle
