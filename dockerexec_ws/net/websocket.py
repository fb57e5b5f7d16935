"""A WebSocket connection: RFC 6455 by the sans-I/O part of the ``websockets`` library, over a gevent socket."""

import codecs
import contextlib
import enum
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from ssl import SSLSocket
from typing import Any, cast

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from dockerexec_ws.errors import ConnectionClosedError
from dockerexec_ws.net.buffers import READ_SIZE, ReadBuffer
from dockerexec_ws.net.keepalive import Keepalive, Verdict
from dockerexec_ws.net.pacing import take_turn

LARGEST_COMPRESSED_READ = 16 * 1024  # may unfold to a thousand times as much, in messages that are all within the limit
SMALLEST_READ = 1024
# A read is handled in one go, while all other sessions wait: with more frames than this in it the next is made smaller.
_FRAMES_PER_READ = 64

CLOSE_TIMEOUT = 5.0
"""Seconds that the peer has to answer a close frame, once its kernel has everything that was sent before."""

# Frames that a peer made us owe it (pongs, errors) while it does not read; beyond this it is not read from either.
_OWED_FRAMES = 64

_MOST_CHUNKS = 128  # given to the kernel in one go; it takes 1024

_LITTLE = 64 * 1024  # bytes

_MAX_REASON = 123  # bytes (RFC 6455 section 5.5: 125 for a control frame's payload, 2 of them the code)


class EndingKind(enum.Enum):
    """Who, or what, ended a connection."""

    PEER_CLOSED = "the peer closed"
    PEER_VANISHED = "the peer vanished"
    PING_TIMEOUT = "the peer did not answer pings"
    WE_CLOSED = "we closed"
    PROTOCOL_ERROR = "the peer broke the protocol"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended; *code* and *reason* are those of the close frame that decided it, if there was one."""

    kind: EndingKind
    code: int | None = None
    reason: str = ""

    def __str__(self) -> str:
        code = "" if self.code is None else f" ({self.code}{' ' + self.reason if self.reason else ''})"
        return self.kind.value + code


class WebSocket:
    """An open connection on the server's side.

    One greenlet may receive while any number send: messages are never mixed, since one lock owns the bytes that go out,
    pongs and close frames included. *protocol* is in its open state; what it has ready goes out first. *early* are
    bytes that came with the request. *ping_interval* and *ping_timeout* are in seconds; an interval of 0 switches pings
    off.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: ServerProtocol,
        *,
        early: bytes = b"",
        ping_interval: float = 20.0,
        ping_timeout: float = 20.0,
    ) -> None:
        self.ending: Ending | None = None
        """How the connection ended; None while it is open."""
        self._socket = sock
        self._protocol = protocol
        self._early = early
        self._keepalive = Keepalive(sock, interval=ping_interval, timeout=ping_timeout)
        self._messages: deque[bytes | str] = deque()
        self._fragments: list[bytes | str] = []
        self._decoder: codecs.IncrementalDecoder | None = None  # while a text message comes in
        self._write_lock = BoundedSemaphore()
        self._unsent = b""  # of a frame that was sent in part
        self._flusher: gevent.Greenlet[[], None] | None = None
        self._owed_frames = 0
        self._drained = Event()  # everything that was owed has been sent
        self._largest_read = LARGEST_COMPRESSED_READ if protocol.extensions else READ_SIZE
        self._read_size = self._largest_read
        self._buffer = ReadBuffer()
        self._receive_lock = BoundedSemaphore()
        self._eof = Event()  # the peer's bytes have ended, or nobody wants them any more
        sock.settimeout(None)
        with contextlib.suppress(OSError):  # a unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._flush_soon()  # the handshake's response

    def receive(self) -> bytes | str | None:
        """Wait for a message and return it whole: bytes, or str for a text message; None when there will be no more."""
        while not self._messages:
            if self.ending or self._eof.is_set():
                return None
            with self._receive_lock:
                self._receive_some()
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
        self._queue(message)
        self._keepalive.output_sent()
        self._flush()

    def send_at_once(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Send one binary message, of *parts*, if nothing has to be waited for; return whether it was done.

        The memory of *parts* is no longer needed then. This is the short way for a stream: no copy is made of what the
        kernel takes at once, and what is left of the frame goes out before anything else.
        """
        if self._write_lock.locked() or self._protocol.writes or self._unsent:
            return False
        if self._protocol.state is not State.OPEN or self._protocol.extensions or isinstance(self._socket, SSLSocket):
            return False
        chunks = [_frame_header(sum(map(len, parts))), *parts]
        if len(chunks) > _MOST_CHUNKS:
            chunks = [b"".join(chunks)]
        try:
            sent = self._socket.sendmsg(chunks, (), socket.MSG_DONTWAIT)
        except OSError:  # the kernel takes nothing now; or whoever sends or receives next is told
            return False
        self._keepalive.output_sent()
        if sent < sum(map(len, chunks)):
            self._unsent = b"".join(chunks)[sent:]
            self._flush_soon()
        return True

    def send_soon(self, message: bytes) -> None:
        """Send one message, after what is being sent, without waiting. Nothing happens on a closed connection."""
        with contextlib.suppress(ConnectionClosedError):
            self._queue(message)
            self._owed_frames += 1
            self._flush_soon()

    def close(self, code: int = 1000, reason: str = "", *, patience: float | None = None) -> None:
        """Close the connection, with the closing handshake where it is still possible. Idempotent.

        What was sent before still arrives, however slowly the peer reads; with *patience*, only for that many seconds.
        """
        with _at_most(patience), contextlib.suppress(ConnectionClosedError):
            if self._protocol.state is State.OPEN:
                reason = reason.encode()[:_MAX_REASON].decode(errors="ignore")
                self._protocol.send_close(code, reason)
                self._end(EndingKind.WE_CLOSED, code, reason)
            self._flush()
            self._wait_for_eof()
        self.abort()

    def abort(self) -> None:
        """Close the socket at once; greenlets that wait to receive or send are woken. Idempotent."""
        self._end(EndingKind.WE_CLOSED)
        self._eof.set()
        with contextlib.suppress(OSError):  # already closed, or reset by the peer
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._socket.close()

    def hold_little(self) -> None:
        """Have the kernel hold little that is not on its way yet: it delays what is sent after it."""
        with contextlib.suppress(OSError, AttributeError):  # not TCP, or a system without it
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _LITTLE)

    @property
    def delivered(self) -> int:
        """How many bytes the peer's kernel has acknowledged, as far as can be told."""
        return self._keepalive.delivered()

    def watch(self) -> None:
        """Look after the peer while nobody receives: ping it when that is due, end the connection if it is gone."""
        if self._keepalive.hung_up():
            self._end(EndingKind.PEER_VANISHED)
            self.abort()
        elif (wait := self._keepalive.wait) is not None and wait <= 0:
            self._judge_silence()

    # Receiving

    def _receive_some(self) -> None:
        take_turn()
        data = self._read()
        if data:
            self._protocol.receive_data(cast("bytes", data))  # any kind of buffer: it appends it to its own
        else:
            self._protocol.receive_eof()
            self._end(EndingKind.PEER_VANISHED)
            self._eof.set()
        events = self._protocol.events_received()
        for event in events:
            assert isinstance(event, Frame)  # nosec B101  # for the type checker: no handshakes come here
            self._take_frame(event)
            if self.ending:
                break
        if len(events) > _FRAMES_PER_READ:
            self._read_size = max(self._read_size // 2, SMALLEST_READ)
        elif len(data) == self._read_size:
            self._read_size = min(self._read_size * 2, self._largest_read)
        sent = self._protocol.close_sent
        if self._protocol.parser_exc is not None and sent is not None:
            self._end(EndingKind.PROTOCOL_ERROR, sent.code, sent.reason)
        self._flush_soon()
        while self._owed_frames > _OWED_FRAMES and not self._eof.is_set():  # a peer that asks for more than it reads
            self._drained.clear()
            with _at_most(1.0):
                self._drained.wait()
            self.watch()

    def _read(self) -> bytes | memoryview:
        if self._early:
            early, self._early = self._early, b""
            return early
        while not self._eof.is_set():
            wait = self._keepalive.wait
            with _at_most(None if wait is None else max(wait, 0.01)):
                try:
                    data = self._buffer.read(self._socket, self._read_size)
                except OSError:  # a reset; or abort() of another greenlet
                    return b""
                self._keepalive.heard()
                return data
            self._judge_silence()
        return b""

    def _judge_silence(self) -> None:
        verdict = self._keepalive.verdict(writing=self._write_lock.locked())
        if verdict is Verdict.PING:
            with contextlib.suppress(InvalidState):
                self._protocol.send_ping(b"")
            self._flush_soon()
        elif verdict is Verdict.DEAD:
            self._end(EndingKind.PING_TIMEOUT)
            self.abort()

    def _take_frame(self, frame: Frame) -> None:
        match frame.opcode:
            case Opcode.BINARY | Opcode.TEXT | Opcode.CONT:
                self._take_data(frame)
            case Opcode.PING:
                self._owed_frames += 1
            case Opcode.CLOSE:
                received = self._protocol.close_rcvd
                assert received is not None  # nosec B101  # for the type checker: it has just come
                self._end(EndingKind.PEER_CLOSED, received.code, received.reason)

    def _take_data(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY and frame.fin:  # nearly every message
            self._messages.append(bytes(frame.data))
            return
        if frame.opcode is Opcode.TEXT:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        if self._decoder is None:
            self._fragments.append(bytes(frame.data))
        else:
            try:
                self._fragments.append(self._decoder.decode(bytes(frame.data), frame.fin))
            except UnicodeDecodeError:
                if self._protocol.state is State.OPEN:
                    self._protocol.fail(CloseCode.INVALID_DATA, "a text message is not UTF-8")
                self._end(EndingKind.PROTOCOL_ERROR, CloseCode.INVALID_DATA, "a text message is not UTF-8")
                return
        if frame.fin:
            empty: bytes | str = b"" if self._decoder is None else ""
            self._messages.append(empty.join(self._fragments))  # type: ignore[arg-type]
            self._fragments = []
            self._decoder = None

    def _wait_for_eof(self) -> None:
        """Read and drop what still comes until the peer closes: closing with unread bytes would reset the connection.

        As long as the peer has not taken what was sent, the keepalive judges; after that CLOSE_TIMEOUT.
        """
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while not self._eof.is_set() and time.monotonic() < deadline:
            if self._keepalive.undelivered():
                deadline = time.monotonic() + CLOSE_TIMEOUT
            with _at_most(0.5), self._receive_lock:
                self._receive_some()
                self._messages.clear()

    # Sending

    def _queue(self, message: bytes | str) -> None:
        try:
            if isinstance(message, str):
                self._protocol.send_text(message.encode())
            else:
                self._protocol.send_binary(message)
        except InvalidState as error:
            raise ConnectionClosedError(str(self.ending)) from error

    def _flush(self) -> None:
        """Write what the protocol has ready, in the order in which it made it; wait until the kernel has taken it."""
        with self._write_lock:
            while chunks := self._chunks_to_send():
                owed = self._owed_frames
                try:
                    for chunk in chunks:
                        if chunk:
                            self._socket.sendall(chunk)
                        else:  # SEND_EOF
                            socket.socket.shutdown(self._socket, socket.SHUT_WR)
                except OSError as error:
                    self._end(EndingKind.PEER_VANISHED)
                    self.abort()
                    raise ConnectionClosedError(str(self.ending)) from error
                except BaseException:  # killed, or timed out, perhaps in the middle of a frame: nothing may follow
                    self.abort()
                    raise
                self._owed_frames -= owed
            self._drained.set()

    def _chunks_to_send(self) -> list[bytes]:
        unsent, self._unsent = self._unsent, b""
        return [unsent, *self._protocol.data_to_send()] if unsent else self._protocol.data_to_send()

    def _flush_soon(self) -> None:
        if (self._protocol.writes or self._unsent) and self._flusher is None and not self._write_lock.locked():
            self._flusher = gevent.spawn(self._flush_in_background)

    def _flush_in_background(self) -> None:
        try:
            self._flush()
        except ConnectionClosedError:
            pass  # whoever receives or sends next is told
        finally:
            self._flusher = None

    def _end(self, kind: EndingKind, code: int | None = None, reason: str = "") -> None:
        if self.ending is None:  # the first one is the cause
            self.ending = Ending(kind, code, reason)


def _frame_header(size: int) -> bytes:
    """Return the header of a whole binary message of the server's, which is not masked (RFC 6455 section 5.2)."""
    if size < 126:
        return struct.pack("!BB", 0x82, size)
    if size < 65536:
        return struct.pack("!BBH", 0x82, 126, size)
    return struct.pack("!BBQ", 0x82, 127, size)


def _at_most(seconds: float | None) -> contextlib.AbstractContextManager[object, bool]:
    """Leave a ``with`` block after *seconds*, without an exception; None: never."""
    return cast("contextlib.AbstractContextManager[object, bool]", gevent.Timeout(seconds, cast("Any", False)))
