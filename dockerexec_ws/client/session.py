"""A session on an open connection. It holds output, within bounds, until it is asked for."""

import contextlib
import os
import weakref
from collections.abc import Callable

from dockerexec_ws.client.connection import Connection
from dockerexec_ws.client.output_queue import OUTPUT_LIMIT, TTY_OUTPUT_LIMIT
from dockerexec_ws.client.progress import Progress, State
from dockerexec_ws.client.reader import Reader
from dockerexec_ws.errors import ConnectionLost, DockerExecError
from dockerexec_ws.protocol.events import End, Resume, Sent, Stdin, Stopped, Stream

MESSAGE_SIZE = 64 * 1024
"""Bytes of stdin in a message: as docker-exec-websocket-client sends it, so that it suits any server."""

PING_INTERVAL = 20.0
"""Seconds of silence before a ping. After as many more the server counts as gone."""

REFUSAL_TIMEOUT = 5.0
"""Seconds that the server has to close its side after it has refused the session."""

CLOSE_TIMEOUT = 3.0
"""Seconds that the server has to close its side at the end."""

_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


class Session:
    """One session on *connection*. Any thread may call anything. Times are in seconds.

    With *merged*, the output of stderr counts as that of stdout, in the order of arrival.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        tty: bool = False,
        merged: bool = False,
        ping_interval: float = PING_INTERVAL,
        refusal_timeout: float = REFUSAL_TIMEOUT,
        close_timeout: float = CLOSE_TIMEOUT,
    ) -> None:
        self._connection = connection
        self._refusal_timeout = refusal_timeout
        self._close_timeout = close_timeout
        self._progress = Progress(TTY_OUTPUT_LIMIT if tty else OUTPUT_LIMIT, merged=merged)
        self._reader = Reader(connection, self._progress, ping_interval=ping_interval, close_timeout=close_timeout)
        _sessions.add(self)
        self.belongs_to(self)
        try:
            self._reader.start()
        except RuntimeError:  # there can be no more threads
            connection.release()
            raise

    @property
    def exit_code(self) -> int | None:
        """The process's exit code, once the server has sent it."""
        return self._progress.exit_code

    @property
    def over(self) -> bool:
        """Whether the session has ended. There may be output left that was not asked for."""
        with self._connection.lock:
            return self._progress.over

    @property
    def closing(self) -> bool:
        """Whether this side has ended the session."""
        return self._connection.closing

    @property
    def unread(self) -> int:
        """Bytes of memory that output takes that was not asked for."""
        with self._connection.lock:
            return self._progress.output.size

    def belongs_to(self, owner: object) -> None:
        """End the session soon after *owner* has been collected, even if everything that cleans up is interrupted."""
        self._reader.belongs_to(owner)

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until the process runs. Raises the failure of a session that ends before; TimeoutError."""
        with self._connection.lock:
            self._wait_for(lambda: self._progress.state is not State.OPENING or self._progress.refused, timeout)
            if self._progress.refused:
                # The close code tells which kind of refusal it is. A server that does not close is not waited for.
                self._connection.changed.wait_for(lambda: self._progress.over, min(timeout, self._refusal_timeout))
                self._progress.disconnected(None, None)
            if self._progress.state is State.REFUSED:
                self._progress.outcome()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises the failure of a session that ends without one; TimeoutError."""
        with self._connection.lock:
            self._wait_for(lambda: self._progress.over, timeout)
            return self._progress.outcome()

    def receive(self, only: Stream | None = None, *, timeout: float | None = None) -> tuple[Stream, memoryview] | None:
        """Return the next bytes of *only*, or of whichever stream came first; None after the exit of the process.

        Raises the failure of a session that ended without an exit code; TimeoutError.
        """
        output = self._progress.output
        with self._connection.lock:
            self._wait_for(lambda: self._progress.over or output.first(only) is not None, timeout)
            stream = output.first(only)
            if stream is None:
                self._progress.outcome()
                return None
            data = output.take(stream)
            self._output_taken()
        return stream, data

    def receive_into(self, stream: Stream, buffer: memoryview, timeout: float | None = None) -> int:
        """Fill *buffer* with what there is of *stream*; return the bytes, 0 at the end. Raises as ``receive``."""
        output = self._progress.output
        with self._connection.lock:
            self._wait_for(lambda: self._progress.over or output.first(stream) is not None, timeout)
            filled = output.take_into(stream, buffer)
            if not filled:
                self._progress.outcome()
            self._output_taken()
        return filled

    def drop_output(self, stream: Stream) -> None:
        """Drop the output of *stream*: what is there, and what will come."""
        with self._connection.lock:
            self._progress.output.drop(stream)
            self._output_taken()

    def write(self, data: memoryview) -> None:
        """Send stdin, and wait until the server may have it and the kernel has taken it.

        Raises BrokenPipeError when the process has exited, or the failure of a session that ends without an exit code.
        """
        for start in range(0, len(data), MESSAGE_SIZE):
            self._send_stdin(Stdin(data[start : start + MESSAGE_SIZE]))

    def end_stdin(self) -> None:
        """Tell the process that no stdin follows. Nothing happens if the session is over."""
        with contextlib.suppress(BrokenPipeError, DockerExecError):
            self._send_stdin(End())

    def send(self, event: Sent) -> None:
        """Send an event that the server's Pause does not hold back, without waiting for anything.

        Nothing happens if the session is over.
        """
        with self._connection.lock:
            self._connection.queue(event)
            self._connection.flush_soon()

    def kill(self, returncode: int) -> None:
        """End the session, unless it is over, and count as exited with *returncode*. Output that came stays."""
        with self._connection.lock:
            if not self._progress.over:
                self._progress.take(Stopped(returncode))
                self._connection.close()

    def close(self) -> None:
        """End the session, and with it the process, if it still runs. Returns when the connection is gone."""
        try:
            with self._connection.lock:
                self._connection.close()
                for stream in Stream:
                    self._progress.output.drop(stream)
                self._progress.fail(ConnectionLost("the session was closed from this side"))
            self._reader.join(self._close_timeout)
        finally:  # also if interrupted
            self._connection.cut()
        self._reader.join()

    def abandon(self) -> None:
        """Cut the connection without waiting. The server ends the process."""
        self._connection.cut()
        with self._connection.lock:  # this may be a finalizer that interrupts the thread that holds it
            self._connection.closing = True
            # Now, because stdin's finalizer comes next, and must not wait for the thread that it interrupts.
            self._progress.fail(ConnectionLost("the session was abandoned"))
            self._connection.changed.notify_all()

    def disown(self) -> None:
        """In a forked process, leave the session to the parent."""
        self._connection.disown()
        with self._connection.lock:
            self._progress.fail(ConnectionLost("the session is in the process that this one was forked from"))

    # Under the lock

    def _wait_for(self, condition: Callable[[], bool], timeout: float | None) -> None:
        if not self._connection.changed.wait_for(condition, timeout):
            raise TimeoutError

    def _output_taken(self) -> None:
        """Read on, and tell the server to resume, if enough output was taken."""
        if self._progress.output.relieved():
            self._connection.changed.notify_all()
        if self._progress.output.resume_due():
            self._connection.queue(Resume())
            self._connection.flush_soon()

    # Takes the lock

    def _send_stdin(self, event: Stdin | End) -> None:
        with self._connection.lock:
            self._connection.changed.wait_for(lambda: self._progress.over or self._progress.may_write)
            if self._progress.over:
                self._progress.outcome()
                raise BrokenPipeError("the process has exited")
            self._connection.queue(event)
        self._connection.flush()


def _disown_all() -> None:
    for session in list(_sessions):
        session.disown()


os.register_at_fork(after_in_child=_disown_all)
