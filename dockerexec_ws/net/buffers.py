"""Buffers between a socket and what reads from it."""

import socket
import ssl
from typing import Any

READ_SIZE = 256 * 1024
"""Bytes that a read brings at most."""

_QUIET_SIZE = 1024  # bytes


def buffered(reader: Any, sock: socket.socket) -> bytes:
    """Return what *reader*, a buffered reader on *sock*, has read already. Sets the timeout of *sock* to 0."""
    sock.settimeout(0)  # peek() must return what is there and not wait for more
    try:
        return bytes(reader.peek())
    except ssl.SSLWantReadError:  # other sockets return None here
        return b""


class ReadBuffer:
    """Memory that a connection reads into: 1 kB while it is quiet, up to READ_SIZE while it streams.

    Fresh memory for each read would cost more than everything else, because the kernel has to map and clear it.
    """

    def __init__(self) -> None:
        self._memory = memoryview(bytearray(_QUIET_SIZE))

    def read(self, sock: socket.socket, size: int = READ_SIZE) -> memoryview:
        """Wait for bytes and return them, at most *size*; empty at the end of the stream. Raises OSError.

        The bytes are valid until the next read.
        """
        memory = self._memory
        count = sock.recv_into(memory[:size])
        if count == len(memory) < READ_SIZE:
            self._memory = memoryview(bytearray(4 * len(memory)))
        elif count < _QUIET_SIZE < len(memory):
            self._memory = memoryview(bytearray(_QUIET_SIZE))
        return memory[:count]
