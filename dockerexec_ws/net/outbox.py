"""All bytes that go out on a WebSocket connection."""

import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from ssl import SSLSocket

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol

# Frames that the peer made us owe it (pongs, errors) while it does not read. Beyond this it is not read from either.
_MOST_OWED = 64

_MOST_CHUNKS = 128  # given to the kernel in one go; it takes 1024


class Outbox:
    """Writes messages, and the control frames that *protocol* has ready, to *sock*, in order and never mixed.

    One lock owns the bytes that go out, so any number of greenlets may send. *broken* is called with the error when a
    write failed or was interrupted, perhaps in the middle of a frame; it must close the socket and call ``close``,
    because nothing may follow half a frame.
    """

    __slots__ = (
        "_broken",
        "_closed",
        "_direct",
        "_drained",
        "_flusher",
        "_lock",
        "_owed",
        "_protocol",
        "_socket",
        "_torn",
    )

    def __init__(self, sock: socket.socket, protocol: Protocol, broken: Callable[[BaseException], None]) -> None:
        self._socket = sock
        self._protocol = protocol  # its list `writes` is the queue, because it puts the control frames there itself
        self._broken = broken
        self._direct = not protocol.extensions and not isinstance(sock, SSLSocket)
        self._lock = BoundedSemaphore()
        self._torn = b""  # the rest of a frame that the kernel took in part
        self._flusher: gevent.Greenlet[[], None] | None = None
        self._owed = 0
        self._drained = Event()  # everything that was owed has been sent, or nothing more will be
        self._closed = False

    def writing(self) -> bool:
        """Return whether bytes wait for the peer's window."""
        return self._lock.locked()

    def put(self, message: bytes | str) -> None:
        """Queue one message; ``flush`` or ``flush_soon`` sends it."""
        if isinstance(message, str):
            chunks = self._serialize(Opcode.TEXT, [message.encode()])
        else:
            chunks = self._serialize(Opcode.BINARY, [message])
        self._protocol.writes.append(b"".join(chunks))

    def send_at_once(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Send one binary message, made of *parts*, unless that has to wait for something; return whether it was sent.

        Afterwards the memory of *parts* is no longer needed. This is the short way for a stream: what the kernel takes
        at once is not copied, and the rest of the frame goes out before anything else.
        """
        if not self._direct or self._lock.locked() or self._protocol.writes or self._torn:
            return False
        chunks = self._serialize(Opcode.BINARY, parts)
        if len(chunks) > _MOST_CHUNKS:
            chunks = [b"".join(chunks)]
        try:
            sent = self._socket.sendmsg(chunks, (), socket.MSG_DONTWAIT)
        except OSError:  # the kernel takes nothing now; or the connection broke, which the next send or receive finds
            return False
        if sent < sum(map(len, chunks)):
            self._torn = b"".join(chunks)[sent:]
            self.flush_soon()
        return True

    def owe(self, frames: int) -> None:
        """Note that the peer made us queue *frames*."""
        self._owed += frames

    @property
    def owes_too_much(self) -> bool:
        """Whether the peer asks for more than it reads."""
        return self._owed > _MOST_OWED and not self._closed

    def wait_for_reader(self) -> None:
        """Wait until the peer has read enough of what it is owed, or until ``close``."""
        while self.owes_too_much:
            self._drained.clear()
            self._drained.wait()

    def flush(self) -> None:
        """Write everything that is queued and wait until the kernel has taken it. Raises OSError."""
        with self._lock:
            while not self._closed and (chunks := self._take()):
                owed = self._owed
                try:
                    self._write(chunks)
                except BaseException as error:  # killed or timed out is as bad as failed: the frame may be torn
                    self._broken(error)
                    raise
                self._owed -= owed
            if self._closed:  # whoever broke it may have taken what we queued
                raise OSError(errno.ECONNRESET, "the connection was closed while other bytes went out")
            self._drained.set()

    def flush_soon(self) -> None:
        """Have everything that is queued written, without waiting. Errors go to *broken*."""
        if (self._protocol.writes or self._torn) and self._flusher is None and not self._lock.locked():
            self._flusher = gevent.spawn(self._flush_in_background)

    def close(self) -> None:
        """Wake greenlets that wait; the caller closes the socket, which ends those that write. Idempotent."""
        self._closed = True
        self._drained.set()

    def _take(self) -> list[bytes]:
        torn, self._torn = self._torn, b""
        return [torn, *self._protocol.data_to_send()] if torn else self._protocol.data_to_send()

    def _write(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            if chunk:
                self._socket.sendall(chunk)
            else:  # websockets.protocol.SEND_EOF. Not the method of SSLSocket, which would give up decrypting.
                socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def _flush_in_background(self) -> None:
        try:
            with contextlib.suppress(OSError):  # `broken` knows
                self.flush()
        finally:
            self._flusher = None

    def _serialize(self, opcode: Opcode, parts: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
        """Return a whole message as one frame, in chunks. A server does not mask (RFC 6455 section 5.1)."""
        extensions = self._protocol.extensions
        if extensions:
            return [Frame(opcode, b"".join(parts)).serialize(mask=False, extensions=extensions)]
        return [_header(opcode, sum(map(len, parts))), *parts]


def _header(opcode: Opcode, size: int) -> bytes:
    """Return the header of a frame that is a whole, unmasked message of *size* bytes (RFC 6455 section 5.2)."""
    first = 0x80 | opcode
    if size < 126:
        return struct.pack("!BB", first, size)
    if size < 65536:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)
