"""A session as its client sees it: what comes is kept, within bounds, until it is asked for; and how it ended.

A thread of its own reads the connection all the time, so that pings are answered and the end is noticed also while
nobody asks for output: the server is told to wait (101) instead of not being read from. One lock guards the state; a
second one owns the bytes that go out, pongs and close frames included.
"""

import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from dockerexec_ws.client.failures import failure, printable
from dockerexec_ws.client.output import OUTPUT_LIMIT, TTY_OUTPUT_LIMIT, UNREAD_LIMIT, OutputQueue
from dockerexec_ws.client.transport import Transport
from dockerexec_ws.errors import ConnectionLost, DockerExecError
from dockerexec_ws.protocol.events import (
    End,
    Error,
    Malformed,
    Output,
    Pause,
    Resume,
    Sent,
    Shutdown,
    Stdin,
    Stopped,
    Stream,
)
from dockerexec_ws.protocol.versions import codec_of

logger = logging.getLogger(__name__)

MESSAGE_SIZE = 64 * 1024
"""Bytes of stdin in a message: what the original's client sends, whatever limit a server has."""

PING_INTERVAL = 20.0
"""Seconds of silence before a ping; after as many more the server counts as gone."""

CLOSE_TIMEOUT = 3.0
"""Seconds that the server has to close its side at the end."""

_READ_SIZE = 256 * 1024
_OWED_FRAMES = 64  # pongs that the server does not take; beyond this it is not read from either

_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


class Session:
    """One session on an open connection. Any thread may call anything."""

    def __init__(self, transport: Transport, protocol: ClientProtocol, *, tty: bool = False) -> None:
        self.exit_code: int | None = None
        """The process's exit code, once the server has told it."""
        self._failure: DockerExecError | None = None  # how it ended, if not by an exit code
        self._transport = transport
        self._protocol = protocol
        self._codec = codec_of(protocol.subprotocol)
        # Entered by itself: entering the Condition may be interrupted between taking the lock and the body.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._write_lock = threading.Lock()
        self._output = OutputQueue(TTY_OUTPUT_LIMIT if tty else OUTPUT_LIMIT)
        self._ready = False
        self._stdin_held = False  # a 101 came, and no 100 since
        self._shutdown = False  # a 201 came
        self._closing = False  # by us
        self._complaint = ""  # the last one
        self._fragments = bytearray()  # of one message; there may be any number, also of empty ones
        self._flushing = False  # a thread sends what nobody waits for
        self._reading_held = False  # the reading thread waits for output to be taken
        self._thread = threading.Thread(target=self._read, name="dockerexec-ws session", daemon=True)
        _sessions.add(self)
        try:
            self._thread.start()
        except RuntimeError:  # there can be no more threads
            transport.close()
            raise

    # For whoever uses the session

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until the process runs. Raises what the session ends with before that; TimeoutError."""
        with self._lock:
            self._wait_for(lambda: self._ready or self._over, timeout)
            if not self._ready:
                self._outcome()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises what the session ends with instead; TimeoutError."""
        with self._lock:
            self._wait_for(lambda: self._over, timeout)
            return self._outcome()

    @property
    def over(self) -> bool:
        """Whether the session has ended; there may be output left that was not asked for."""
        with self._lock:
            return self._over

    def receive(self, timeout: float | None = None) -> tuple[Stream, memoryview] | None:
        """Return the next bytes of output, of whichever stream came first; None at the end.

        The end is that of a process that exited: what a session ends with instead is raised. Raises TimeoutError.
        """
        with self._lock:
            self._wait_for(lambda: self._over or self._output.first() is not None, timeout)
            stream = self._output.first()
            if stream is None:
                self._outcome()
                return None
            data = self._output.take(stream)
            self._output_taken()
        return stream, data

    def receive_into(self, stream: Stream, buffer: memoryview, timeout: float | None = None) -> int:
        """Fill *buffer* with what there is of *stream*; return the bytes, 0 at the end. Raises as ``receive``."""
        with self._lock:
            self._wait_for(lambda: self._over or self._output.first(stream) is not None, timeout)
            filled = self._output.take_into(stream, buffer)
            if not filled:
                self._outcome()
            self._output_taken()
        return filled

    def drop_output(self, stream: Stream) -> None:
        """Keep nothing of a stream any more, and nothing of what comes."""
        with self._lock:
            self._output.drop(stream)
            self._output_taken()

    def write(self, data: memoryview) -> None:
        """Send stdin, and wait until the server may have it and the kernel has taken it.

        Raises BrokenPipeError when the process has exited; what the session ends with instead.
        """
        for start in range(0, len(data), MESSAGE_SIZE):
            self._send_stdin(Stdin(data[start : start + MESSAGE_SIZE]))

    def end_stdin(self) -> None:
        """Tell the process that no stdin will follow. A session that is over does not mind."""
        with contextlib.suppress(BrokenPipeError, DockerExecError):
            self._send_stdin(End())

    def send(self, event: Sent) -> None:
        """Send a message that is not held back by the server's 101, without waiting for anything.

        A session that is over does not mind.
        """
        with self._lock:
            self._queue(event)
            self._flush_soon()

    def close(self) -> None:
        """End the session, and with it the process, if it still runs. Returns when the connection is gone."""
        try:
            with self._lock:
                self._closing = True
                for stream in Stream:
                    self._output.drop(stream)
                if not self._over:
                    self._end(ConnectionLost("the session was closed from this side"))
                self._changed.notify_all()
                with contextlib.suppress(InvalidState):  # it is closed, or about to be
                    self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
                self._flush_soon()
            self._thread.join(CLOSE_TIMEOUT)
        finally:  # interrupted as well
            self._transport.cut()
        self._thread.join()

    def abandon(self) -> None:
        """Cut the connection without waiting for anything; the server ends the process."""
        self._transport.cut()
        with self._lock:  # an RLock: this may be a finalizer that interrupts whoever holds it
            self._closing = True
            # At once: stdin's own finalizer, which comes next, may not wait for the thread that it interrupts.
            self._end(ConnectionLost("the session was abandoned"))
            self._changed.notify_all()

    def disown(self) -> None:
        """In a forked process: leave the session to its parent. No thread came along, and a lock may be held."""
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._write_lock = threading.Lock()
        self._flushing = True  # nothing goes out
        with self._lock:
            self._end(ConnectionLost("the session is in the process that this one was forked from"))
        self._transport.close()

    # Under the lock

    @property
    def _over(self) -> bool:
        return self.exit_code is not None or self._failure is not None

    def _wait_for(self, condition: Callable[[], bool], timeout: float | None) -> None:
        if not self._changed.wait_for(condition, timeout):
            raise TimeoutError

    def _outcome(self) -> int:
        if self.exit_code is None:
            assert self._failure is not None  # nosec B101  # for the type checker: it is over
            raise self._failure.with_traceback(None)  # or it would grow each time
        return self.exit_code

    def _end(self, cause: DockerExecError) -> None:
        if not self._over:  # the first cause is the one
            self._failure = cause
            self._changed.notify_all()

    # The thread that reads

    def _read(self) -> None:
        try:
            self._take_events()  # what came with the handshake
            buffer = memoryview(bytearray(_READ_SIZE))
            while (size := self._read_some(buffer)) > 0:
                with self._lock:
                    self._protocol.receive_data(buffer[:size])  # type: ignore[arg-type]  # it copies any buffer
                self._take_events()
        except OSError as error:
            logger.debug("the connection broke: %s", error)
        except Exception:
            logger.exception("the client failed")
        finally:
            with self._lock:
                self._end(self._failure_now())
            self._transport.cut()
            with self._write_lock:  # whoever writes has been woken
                self._transport.close()

    def _read_some(self, buffer: memoryview) -> int:
        pinged = False
        delivered = self._transport.delivered
        while True:
            with self._lock:
                self._reading_held = self._output.size > UNREAD_LIMIT
                self._changed.wait_for(lambda: self._closing or not self._reading_held)
                closing = self._closing or self._over
            size = self._transport.read_into(buffer, CLOSE_TIMEOUT if closing else PING_INTERVAL)
            if size is not None:
                return size
            before, delivered = delivered, self._transport.delivered
            if closing or (pinged and before == delivered):
                return 0
            if not pinged:  # once: that its kernel takes further ones says nothing of the server
                self._send_ping()
            pinged = True

    def _send_ping(self) -> None:
        with self._lock:
            if self._protocol.state is not State.OPEN:
                return
            self._protocol.send_ping(b"")
        self._take_events()

    def _take_events(self) -> None:
        with self._lock:
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                    if event.fin and event.opcode is not Opcode.CONT:
                        self._take_message(event.data)
                        continue
                    self._fragments += event.data
                    if event.fin:
                        message, self._fragments = self._fragments, bytearray()
                        self._take_message(message)
            if self._protocol.close_rcvd is not None or self._protocol.parser_exc is not None:
                self._end(self._failure_now())
            self._changed.notify_all()
            self._flush_soon()  # not by this thread: it must never wait for the server to take something
            self._changed.wait_for(lambda: len(self._protocol.writes) <= _OWED_FRAMES or self._closing)

    def _take_message(self, message: bytes | bytearray | memoryview) -> None:
        match self._codec.parse_server_message(bytes(message) if isinstance(message, memoryview) else message):
            case Output(stream, data):
                if self._output.put(stream, data):
                    self._queue(Pause())
            case Resume():
                self._ready = True
                self._stdin_held = False
            case Pause():
                self._stdin_held = True
            case Stopped(exit_code):
                if not self._over:
                    self.exit_code = exit_code
            case Shutdown():
                self._shutdown = True
            case Error(text):
                before, self._complaint = self._complaint, printable(text)
                if self._ready and self._complaint != before:  # or it would be told for every key
                    logger.warning("the server says: %s", self._complaint)
            case Malformed(text):
                self._end(ConnectionLost(f"the server broke the protocol: {text}"))

    def _failure_now(self) -> DockerExecError:
        return failure(
            shutdown=self._shutdown,
            close=self._protocol.close_rcvd,
            complaint=self._complaint,
            ready=self._ready,
            broken=self._protocol.parser_exc,
        )

    # What goes out

    def _send_stdin(self, event: Stdin | End) -> None:
        with self._lock:
            self._changed.wait_for(lambda: self._over or (self._ready and not self._stdin_held))
            if self._over:
                self._outcome()
                raise BrokenPipeError("the process has exited")
            self._queue(event)
        self._flush()

    def _output_taken(self) -> None:
        """See to what follows from there being less output kept."""
        if self._reading_held and self._output.size <= UNREAD_LIMIT // 2:
            self._reading_held = False
            self._changed.notify_all()
        if self._output.resume_due():
            self._queue(Resume())
            self._flush_soon()

    def _queue(self, event: Sent) -> None:
        """Have *event* sent by the next flush; under the lock."""
        message = self._codec.encode(event)
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(message)

    def _flush_soon(self) -> None:
        """Have what the protocol has ready sent, by another thread; under the lock."""
        if self._protocol.writes and not self._flushing:
            self._flushing = True
            threading.Thread(target=self._flush_for_others, name="dockerexec-ws flush", daemon=True).start()

    def _flush_for_others(self) -> None:
        try:
            self._flush()
        finally:
            with self._lock:
                self._flushing = False
                self._flush_soon()  # what came at the last moment

    def _flush(self) -> None:
        """Write what the protocol has ready, in the order in which it made it; wait until the kernel has taken it."""
        try:
            with self._write_lock:
                while chunks := self._chunks_to_send():
                    for chunk in chunks:
                        self._transport.write(chunk)
        except OSError:  # the thread that reads finds out, once it has read what came before, and tells
            self._transport.cut()
        except BaseException:  # interrupted, perhaps in a frame; and stdin would send again what is queued by now
            self._transport.cut()
            raise

    def _chunks_to_send(self) -> list[bytes]:
        with self._lock:
            self._changed.notify_all()
            return self._protocol.data_to_send()


def _disown_all() -> None:
    for session in list(_sessions):
        session.disown()


os.register_at_fork(after_in_child=_disown_all)
