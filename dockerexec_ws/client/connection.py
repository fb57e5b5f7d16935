"""The connection of a session: which bytes go out and in which order, what comes in, and the locks.

One lock guards the state of the connection and of its session. A second one owns the bytes that go out, pongs and close
frames included.
"""

import contextlib
import threading
from collections.abc import Iterator

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import State

from dockerexec_ws.client.transport import Transport
from dockerexec_ws.protocol.events import FromServer, Sent
from dockerexec_ws.protocol.versions import codec_of

# Pongs that may wait for the server to read them. With more, nothing is read from it either.
_OWED_FRAMES = 64


class Connection:
    """An open connection; *protocol* has done the opening handshake over *transport*."""

    def __init__(self, transport: Transport, protocol: ClientProtocol) -> None:
        self.lock = threading.RLock()
        """Guards this object and its session. An RLock, because a finalizer may interrupt the thread that holds it."""
        self.changed = threading.Condition(self.lock)
        """Notified when something has changed that a thread may wait for.

        Take ``lock`` instead of entering this: that can be interrupted between taking the lock and the body.
        """
        self.write_lock = threading.Lock()
        """Owns the bytes that go out. Never wait for it while holding ``lock``."""
        self.closing = False
        """Whether this side is closing the connection, or has cut it."""
        self._transport = transport
        self._protocol = protocol
        self._codec = codec_of(protocol.subprotocol)
        self._fragments = bytearray()  # of one message, joined, because there may be any number of them
        self._flushing = False  # another thread writes for `flush_soon`

    # What comes in

    def read_into(self, buffer: memoryview, timeout: float) -> int | None:
        """Wait *timeout* seconds for bytes. Return how many came; 0 at the end, None if none came. Raises OSError."""
        return self._transport.read_into(buffer, timeout)

    def feed(self, data: memoryview) -> None:
        """Parse bytes that came in."""
        with self.lock:
            self._protocol.receive_data(data)  # type: ignore[arg-type]  # it copies any buffer

    def events(self) -> Iterator[FromServer]:
        """Yield the events of the messages that are complete. Call it under the lock."""
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                message = self._assemble(event)
                if message is not None:
                    yield self._codec.parse_server_message(message)

    @property
    def close_received(self) -> Close | None:
        """The server's close frame, if it has come. Read it under the lock."""
        return self._protocol.close_rcvd

    @property
    def violation(self) -> BaseException | None:
        """How the server broke the WebSocket protocol, if it did. Read it under the lock."""
        return self._protocol.parser_exc

    @property
    def delivered(self) -> int:
        """A number that grows as the server's kernel acknowledges bytes, where the system can tell."""
        return self._transport.delivered

    # What goes out

    def queue(self, event: Sent) -> None:
        """Queue *event* for the next flush, if the connection is open. Call it under the lock."""
        message = self._codec.encode(event)
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(message)

    def queue_ping(self) -> None:
        """Queue a ping for the next flush, if the connection is open. Call it under the lock."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")

    def flush(self) -> None:
        """Write what is queued, in order, and wait until the kernel has taken it. Never call it under the lock."""
        try:
            with self.write_lock:
                while chunks := self._chunks_to_send():
                    for chunk in chunks:
                        self._transport.write(chunk)
        except OSError:  # the reader reports the end, after it has read what came before
            self._transport.cut()
        except BaseException:
            # Interrupted, perhaps within a frame. Also, stdin would send again what is already queued.
            self._transport.cut()
            raise

    def flush_soon(self) -> None:
        """Write what is queued in another thread, without waiting. Call it under the lock."""
        if self._protocol.writes and not self._flushing:
            threading.Thread(target=self._flush_for_others, name="dockerexec-ws flush", daemon=True).start()
            self._flushing = True  # not before, because starting a thread may fail

    def wait_while_owing(self) -> None:
        """Wait while too many pongs wait for the server to read them. Call it under the lock."""
        self.changed.wait_for(lambda: len(self._protocol.writes) <= _OWED_FRAMES or self.closing)

    # The end

    def close(self) -> None:
        """Begin the closing handshake, without waiting. Call it under the lock."""
        self.closing = True
        with contextlib.suppress(InvalidState):  # it is closed, or about to be
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
        self.changed.notify_all()
        self.flush_soon()

    def cut(self) -> None:
        """End the connection at once, and wake the threads that read or write. Idempotent."""
        self._transport.cut()

    def release(self) -> None:
        """Close the socket. Only the reading thread may call this, or the one that failed to start it."""
        self._transport.cut()
        with self.write_lock:  # a thread that writes has been woken
            self._transport.close()

    def disown(self) -> None:
        """In a forked process, leave the connection to the parent. It has no other threads, and locks may be held."""
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.write_lock = threading.Lock()
        self._flushing = True  # nothing goes out
        self._transport.close()

    def _assemble(self, frame: Frame) -> bytes | bytearray | None:
        """Return the message that is complete with *frame*; None if there is more to come."""
        if frame.fin and frame.opcode is not Opcode.CONT:
            return bytes(frame.data) if isinstance(frame.data, memoryview) else frame.data
        self._fragments += frame.data
        if not frame.fin:
            return None
        message, self._fragments = self._fragments, bytearray()
        return message

    def _flush_for_others(self) -> None:
        try:
            self.flush()
        finally:
            with self.lock:
                self._flushing = False
                self.flush_soon()  # what was queued since the last write

    def _chunks_to_send(self) -> list[bytes]:
        with self.lock:
            self.changed.notify_all()
            return self._protocol.data_to_send()
