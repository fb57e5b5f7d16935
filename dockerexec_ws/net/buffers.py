"""Buffers between a socket and what reads from it."""

import socket
import ssl
from typing import Any

READ_SIZE = 256 * 1024
_QUIET_SIZE = 1024


def buffered(reader: Any, sock: socket.socket) -> bytes:
    """Return what *reader*, a buffered reader on *sock*, has read already; *sock*'s timeout is 0 afterwards."""
    sock.settimeout(0)  # peek() shall return what is there, not wait for more
    try:
        return bytes(reader.peek())
    except ssl.SSLWantReadError:  # what other sockets say by None
        return b""


class ReadBuffer:
    """Memory that a connection reads into: little while it is quiet, up to READ_SIZE while it streams.

    Fresh memory for each read would cost more than all else: the kernel has to map and clear it.
    """

    def __init__(self) -> None:
        self._memory = memoryview(bytearray(_QUIET_SIZE))

    def read(self, sock: socket.socket, size: int = READ_SIZE) -> memoryview:
        """Wait for bytes, at most *size*, and return them; none at the end. They are valid until the next read."""
        memory = self._memory
        count = sock.recv_into(memory[:size])
        if count == len(memory) < READ_SIZE:
            self._memory = memoryview(bytearray(4 * len(memory)))
        elif count < _QUIET_SIZE < len(memory):
            self._memory = memoryview(bytearray(_QUIET_SIZE))
        return memory[:count]
