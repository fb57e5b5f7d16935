"""Bytes of a socket in, messages and frames out."""

import socket

from websockets.frames import Frame
from websockets.protocol import Protocol

from dockerexec_ws.net.buffers import READ_SIZE, ReadBuffer
from dockerexec_ws.net.frame_decoder import FrameDecoder
from dockerexec_ws.net.keepalive import Keepalive
from dockerexec_ws.net.pacing import take_turn

LARGEST_COMPRESSED_READ = 16 * 1024  # bytes; they may unfold to a thousand times as many, in messages within the limit
SMALLEST_READ = 1024  # bytes
_FRAMES_PER_READ = 64  # all other sessions wait while a read is handled: with more frames in it the next is smaller


class FrameReader:
    """Reads what a client sends from *sock*; *early* are bytes that came with the request.

    *protocol*, *max_size* and *prefix* are those of ``FrameDecoder``. One greenlet reads at a time. *keepalive* learns
    of each read.
    """

    __slots__ = ("_buffer", "_decoder", "_early", "_keepalive", "_largest", "_size", "_socket")

    def __init__(
        self,
        sock: socket.socket,
        protocol: Protocol,
        keepalive: Keepalive,
        *,
        early: bytes,
        max_size: int,
        prefix: bytes,
    ) -> None:
        self._socket = sock
        self._decoder = FrameDecoder(protocol, max_size=max_size, prefix=prefix)
        self._keepalive = keepalive
        self._early = early
        self._buffer = ReadBuffer()
        self._largest = LARGEST_COMPRESSED_READ if protocol.extensions else READ_SIZE
        self._size = LARGEST_COMPRESSED_READ  # it grows with the stream

    def read(self) -> list[Frame | bytes] | None:
        """Wait for bytes and return what they complete, perhaps nothing; None at the end of all bytes.

        A bytes object is a whole binary message. The parser of *protocol* may have found an error, and may have answers
        ready to send.
        """
        take_turn()
        data = self._read_bytes()
        if not data:
            self._decoder.end()
            return None
        decoded = self._decoder.decode(data)
        if len(decoded) > _FRAMES_PER_READ:
            self._size = max(self._size // 2, SMALLEST_READ)
        elif len(data) == self._size:
            self._size = min(self._size * 2, self._largest)
        return decoded

    def _read_bytes(self) -> memoryview:
        if self._early:
            early, self._early = self._early, b""
            return memoryview(early)
        self._keepalive.reading = True
        try:
            data = self._buffer.read(self._socket, self._size)
        except OSError:  # a reset, or another greenlet closed the socket
            return memoryview(b"")
        finally:
            self._keepalive.reading = False
        self._keepalive.heard()
        return data
