"""Bytes of a socket in, frames out."""

import socket
from typing import cast

from websockets.frames import Frame
from websockets.protocol import Protocol

from dockerexec_ws.net.buffers import READ_SIZE, ReadBuffer
from dockerexec_ws.net.keepalive import Keepalive
from dockerexec_ws.net.pacing import take_turn

LARGEST_COMPRESSED_READ = 16 * 1024  # bytes; they may unfold to a thousand times as many, in messages within the limit
SMALLEST_READ = 1024  # bytes
_FRAMES_PER_READ = 64  # all other sessions wait while a read is handled: with more frames in it the next is smaller


class FrameReader:
    """Reads frames from *sock* through the parser of *protocol*; *early* are bytes that came with the request.

    One greenlet reads at a time. *keepalive* learns of each read.
    """

    __slots__ = ("_buffer", "_early", "_keepalive", "_largest", "_protocol", "_size", "_socket")

    def __init__(self, sock: socket.socket, protocol: Protocol, keepalive: Keepalive, early: bytes) -> None:
        self._socket = sock
        self._protocol = protocol
        self._keepalive = keepalive
        self._early = early
        self._buffer = ReadBuffer()
        self._largest = LARGEST_COMPRESSED_READ if protocol.extensions else READ_SIZE
        self._size = self._largest

    def read(self) -> list[Frame] | None:
        """Wait for bytes and return the frames that they complete, perhaps none; None at the end of all bytes.

        The parser may have found an error, and may have answers ready to send.
        """
        take_turn()
        data = self._read_bytes()
        if not data:
            self._protocol.receive_eof()
            return None
        self._protocol.receive_data(cast("bytes", data))  # any kind of buffer: it appends it to its own
        frames = cast("list[Frame]", self._protocol.events_received())  # no handshakes come here
        if len(frames) > _FRAMES_PER_READ:
            self._size = max(self._size // 2, SMALLEST_READ)
        elif len(data) == self._size:
            self._size = min(self._size * 2, self._largest)
        return frames

    def _read_bytes(self) -> bytes | memoryview:
        if self._early:
            early, self._early = self._early, b""
            return early
        self._keepalive.reading = True
        try:
            data = self._buffer.read(self._socket, self._size)
        except OSError:  # a reset, or another greenlet closed the socket
            return b""
        finally:
            self._keepalive.reading = False
        self._keepalive.heard()
        return data
