"""A WebSocket connection: RFC 6455 by the sans-I/O part of the ``websockets`` library, over a gevent socket.

``FrameReader`` and ``Assembler`` make messages of the bytes that come in, ``Outbox`` owns those that go out, and
``Keepalive`` watches the peer. ``WebSocket`` owns all of them and decides when the connection ends.
"""

import contextlib
import enum
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import gevent
from gevent.lock import BoundedSemaphore
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from dockerexec_ws.errors import ConnectionClosedError
from dockerexec_ws.net.assembler import Assembler
from dockerexec_ws.net.connection_end import Ending, EndingKind
from dockerexec_ws.net.frame_reader import FrameReader
from dockerexec_ws.net.keepalive import Keepalive
from dockerexec_ws.net.outbox import Outbox
from dockerexec_ws.net.tcp import TcpState

CLOSE_TIMEOUT = 5.0
"""Seconds that the peer has to answer a close frame, once its kernel has everything that was sent before."""

_MAX_REASON = 123  # bytes (RFC 6455 section 5.5: 125 for a control frame's payload, 2 of them the code)


class Life(enum.IntEnum):
    """How far a connection is. It only moves forward."""

    OPEN = enum.auto()
    """Messages go both ways."""
    CLOSING = enum.auto()
    """The end is decided: what was queued still goes out, messages that come are dropped."""
    CLOSED = enum.auto()
    """Nothing more comes: the peer has closed its side, or we have closed the socket."""


class WebSocket:
    """An open connection on the server's side.

    One greenlet may receive while any number send; messages are never mixed. *protocol* is in its open state; what it
    has ready goes out first. *max_size* is its limit on a message, in bytes. A message that begins with the byte
    *prefix* is a piece of a stream, which ``receive`` may cut into several that begin with it. *early* are bytes that
    came with the request. All times are in seconds: silence for *ping_interval* brings a ping (0: never), after which
    any byte has to come within *ping_timeout*; *close_timeout* is CLOSE_TIMEOUT.

    ``close`` or ``abort`` has to be called in the end.
    """

    __slots__ = (
        "_assembler",
        "_close_timeout",
        "_keepalive",
        "_life",
        "_messages",
        "_outbox",
        "_protocol",
        "_reader",
        "_receive_lock",
        "_socket",
        "_tcp",
        "ending",
    )

    def __init__(
        self,
        sock: socket.socket,
        protocol: ServerProtocol,
        *,
        max_size: int,
        prefix: bytes,
        early: bytes = b"",
        ping_interval: float = 20.0,
        ping_timeout: float = 20.0,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        self.ending: Ending | None = None
        """How the connection ended; None while it is open."""
        self._life = Life.OPEN
        self._close_timeout = close_timeout
        self._socket = sock
        self._protocol = protocol
        self._tcp = TcpState(sock)
        self._messages: deque[bytes | str] = deque()
        self._assembler = Assembler()
        self._outbox = Outbox(sock, protocol, self._broken)
        self._keepalive = Keepalive(
            self._tcp,
            interval=ping_interval,
            timeout=ping_timeout,
            writing=self._outbox.writing,
            ping=self._ping,
            gone=self._abort,
        )
        self._reader = FrameReader(sock, protocol, self._keepalive, early=early, max_size=max_size, prefix=prefix)
        self._receive_lock = BoundedSemaphore()
        sock.settimeout(None)
        self._tcp.send_promptly()
        self._outbox.flush_soon()  # the handshake's response

    def receive(self) -> bytes | str | None:
        """Wait for a message and return it whole: bytes, or str for a text message; None when there will be no more."""
        while not self._messages:
            if self._life is not Life.OPEN:
                return None
            with self._receive_lock:
                if self._life is Life.OPEN and not self._messages:  # another greenlet may have had the lock before
                    self._receive_some()
        if self._life is Life.OPEN:
            self._keepalive.watch_unread()  # until the next call
        return self._messages.popleft()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the opening handshake agreed on, if any (RFC 6455 section 1.9)."""
        return self._protocol.subprotocol

    @property
    def message_waits(self) -> bool:
        """Whether ``receive`` has a message already."""
        return bool(self._messages)

    def send(self, message: bytes | str) -> None:
        """Send one message and wait until the kernel has taken it. Raises ConnectionClosedError."""
        if self._life is not Life.OPEN:
            raise ConnectionClosedError(str(self.ending))
        self._outbox.put(message)
        self._keepalive.output_sent()
        self._flush()

    def send_at_once(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Send one binary message, made of *parts*, unless that has to wait for something; return whether it was sent.

        Afterwards the memory of *parts* is no longer needed.
        """
        if self._life is not Life.OPEN or not self._outbox.send_at_once(parts):
            return False
        self._keepalive.output_sent()
        return True

    def send_soon(self, message: bytes) -> None:
        """Send one message, after what is being sent, without waiting. Does nothing if the connection is not open."""
        if self._life is Life.OPEN and not self._outbox.send_at_once([message]):
            self._outbox.put(message)
            self._outbox.owe(1)
            self._outbox.flush_soon()

    def close(self, code: int = 1000, reason: str = "", *, patience: float | None = None) -> None:
        """Close the connection, with the closing handshake where it is still possible. Idempotent.

        What was sent before is still delivered, even to a slow peer; with *patience*, only for that many seconds.
        """
        try:
            with _at_most(patience), contextlib.suppress(ConnectionClosedError):
                if self._life is Life.OPEN:
                    reason = reason.encode()[:_MAX_REASON].decode(errors="ignore")
                    self._protocol.send_close(code, reason)
                    self._move(Life.CLOSING, Ending(EndingKind.WE_CLOSED, code, reason))
                self._flush()
                self._wait_for_eof()
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the socket at once; greenlets that wait to receive or send are woken. Idempotent; never waits."""
        self._abort(EndingKind.WE_CLOSED)

    def hold_little(self) -> None:
        """Limit how much unsent data the kernel buffers, so that later output is not delayed behind it."""
        self._tcp.limit_unsent()

    @property
    def delivered(self) -> int:
        """How many bytes the peer's kernel has acknowledged; 0 if unknown."""
        return self._tcp.delivered()

    # The connection's life

    def _move(self, life: Life, ending: Ending) -> None:
        """Move on to *life*, never back. The first *ending* counts, because it is the cause of those that follow."""
        if self.ending is None:
            self.ending = ending
        self._life = max(self._life, life)
        self._keepalive.expect_hang_up()

    def _abort(self, kind: EndingKind) -> None:
        self._move(Life.CLOSED, Ending(kind))
        self._keepalive.stop()
        self._outbox.close()
        with contextlib.suppress(OSError):  # already closed, or reset by the peer
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._socket.close()

    def _broken(self, error: BaseException) -> None:
        """End the connection because a write failed, or was interrupted by its greenlet's end or a timeout."""
        self._abort(EndingKind.PEER_VANISHED if isinstance(error, OSError) else EndingKind.WE_CLOSED)

    # Receiving

    def _receive_some(self) -> None:
        decoded = self._reader.read()
        if decoded is None:
            self._move(Life.CLOSED, Ending(EndingKind.PEER_VANISHED))
        for each in decoded or ():
            if isinstance(each, Frame):
                self._take_frame(each)
            elif self._life is Life.OPEN:
                self._messages.append(each)
        sent = self._protocol.close_sent
        if self._protocol.parser_exc is not None and sent is not None:
            self._move(Life.CLOSING, Ending(EndingKind.PROTOCOL_ERROR, sent.code, sent.reason))
        self._outbox.flush_soon()
        if self._outbox.owes_too_much:  # so it is not read from
            self._keepalive.watch_unread()
            self._outbox.wait_for_reader()

    def _take_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.BINARY | Opcode.TEXT | Opcode.CONT:
                if self._life is Life.OPEN:
                    self._take_data(frame)
            case Opcode.PING:
                self._outbox.owe(1)
            case Opcode.CLOSE:
                received = self._protocol.close_rcvd
                assert received is not None  # nosec B101  # for the type checker: it has just come
                self._move(Life.CLOSING, Ending(EndingKind.PEER_CLOSED, received.code, received.reason))

    def _take_data(self, frame: Frame) -> None:
        try:
            message = self._assembler.take(frame)
        except UnicodeDecodeError:
            ending = Ending(EndingKind.PROTOCOL_ERROR, CloseCode.INVALID_DATA, "a text message is not UTF-8")
            if self._protocol.state is State.OPEN:  # a close frame may have come in the same read
                self._protocol.fail(CloseCode.INVALID_DATA, ending.reason)
            self._move(Life.CLOSING, ending)
        else:
            if message is not None:
                self._messages.append(message)

    def _wait_for_eof(self) -> None:
        """Read and drop what still comes until the peer closes: closing with unread bytes would reset the connection.

        As long as the peer has not taken what was sent, the keepalive judges; after that the close timeout.
        """
        self._messages.clear()
        deadline = time.monotonic() + self._close_timeout
        while self._life is not Life.CLOSED and time.monotonic() < deadline:
            if self._tcp.undelivered():
                deadline = time.monotonic() + self._close_timeout
            with _at_most(0.5), self._receive_lock:
                # Another greenlet may have had the lock before. The type checker does not know.
                if self._life is not Life.CLOSED:  # type: ignore[comparison-overlap]
                    self._receive_some()

    # Sending

    def _flush(self) -> None:
        try:
            self._outbox.flush()
        except OSError as error:
            raise ConnectionClosedError(str(self.ending)) from error

    def _ping(self) -> None:
        with contextlib.suppress(InvalidState):  # the peer has closed
            self._protocol.send_ping(b"")
        self._outbox.flush_soon()


def _at_most(seconds: float | None) -> contextlib.AbstractContextManager[object, bool]:
    """Leave a ``with`` block after *seconds*, without an exception; None: never."""
    return cast("contextlib.AbstractContextManager[object, bool]", gevent.Timeout(seconds, cast("Any", False)))
