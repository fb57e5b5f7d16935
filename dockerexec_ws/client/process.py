"""A command in a container, with the methods of ``subprocess.Popen``."""

import contextlib
import io
import subprocess  # nosec B404  # its exceptions and its result only
import time
import warnings
import weakref
from collections.abc import Sequence
from threading import Thread
from types import TracebackType
from typing import Self

from dockerexec_ws.client.session import Session
from dockerexec_ws.client.streams import BUFFER_SIZE, InputStream, OutputReader, close_stdin, feed_soon
from dockerexec_ws.errors import DockerExecError, SettingsError
from dockerexec_ws.protocol.events import Resize, Stream


class Process:
    """A command that runs in a container, with the methods of ``subprocess.Popen``. ``connect`` returns one.

    ``stdin``, ``stdout`` and ``stderr`` are buffered binary file objects. Flush ``stdin`` to send its bytes, and close
    it to end the process's input. As with Popen, a process stops when it has written 2 MiB (128 KiB with a tty) that
    nobody reads, of stdout and stderr together. Read both, with threads or ``communicate``, or close the one that does
    not matter. With a tty, all output is on ``stdout``.

    If a session ends without an exit code, the methods that read, write or wait raise SessionRefused, ServerShutdown,
    EngineError or ConnectionLost. Output that came before can still be read. What ``read()`` had read by then is in the
    exception's ``stdout`` or ``stderr``.

    As a context manager, it closes ``stdin`` at the end and waits for the process. An exception ends the process.
    """

    def __init__(self, session: Session, args: Sequence[str], *, tty: bool) -> None:
        self.args = list(args)
        """The words of the command."""
        self.tty = tty
        """Whether the command has a terminal."""
        self._session = session
        self.stdin = io.BufferedWriter(InputStream(session), BUFFER_SIZE)
        self.stdout = OutputReader(session, Stream.STDOUT)
        self.stderr = OutputReader(session, Stream.STDERR)
        self._collected: dict[Stream, list[bytes | memoryview]] = {Stream.STDOUT: [], Stream.STDERR: []}
        self._feeder: Thread | None = None
        self._finalizer = weakref.finalize(self, _forgotten, session, self.args)

    @property
    def returncode(self) -> int | None:
        """The exit code, 0 to 255, once the server has sent it; else None."""
        return self._session.exit_code

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs. Raises the failure of the session, see the class."""
        return self._session.wait(0) if self._session.over else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises subprocess.TimeoutExpired after *timeout* seconds, and as the class says."""
        try:
            return self._session.wait(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0) from None

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002
        """Send *input*, end stdin, and return all of stdout and stderr once the process has exited.

        Raises subprocess.TimeoutExpired after *timeout* seconds. No output is lost: call it again, and it ignores
        *input* then. The exception for a session that failed has the output so far in ``stdout`` and ``stderr``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._feeder is None:
            if input and self.stdin.closed:
                raise ValueError("stdin is already closed")
            for stream, reader in ((Stream.STDOUT, self.stdout), (Stream.STDERR, self.stderr)):
                if not reader.closed:
                    self._collected[stream].append(reader.give_up())
            self._feeder = feed_soon(self.stdin, input)
        try:
            while (got := self._session.receive(timeout=left(deadline))) is not None:
                self._collected[got[0]].append(got[1])
        except TimeoutError:
            output = self._output()
            raise subprocess.TimeoutExpired(self.args, timeout or 0, *output) from None
        except DockerExecError as error:
            error.stdout, error.stderr = self._output()
            raise
        self._feeder.join()
        return self._output()

    def receive(self, timeout: float | None = None) -> tuple[Stream, memoryview] | None:
        """Return the next piece of output and its stream (1 stdout, 2 stderr), in the order of arrival.

        Returns None once the process has exited. Use it instead of the file objects to keep the order of both streams.
        Raises TimeoutError, and as the class says.
        """
        return self._session.receive(timeout=timeout)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal, each 0 to 65535. Raises SettingsError without a tty."""
        if not self.tty:
            raise SettingsError("A session without a tty has no terminal to resize.")
        self._session.send(Resize(rows, columns))

    def close(self) -> None:
        """End the session. The server ends a process that still runs, and unread output is dropped. Idempotent.

        Returns when the server has closed the connection, or has not answered for 3 s.
        """
        self._session.close()
        self._finalizer.detach()  # only now, because close() may be interrupted
        for stream in (self.stdout, self.stderr):
            stream.close()
        with contextlib.suppress(BrokenPipeError, DockerExecError):  # drop what was not flushed
            self.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._finalizer.alive:  # not closed yet
                close_stdin(self.stdin)
                for stream in (self.stdout, self.stderr):
                    stream.close()
                self.wait()
        finally:
            self.close()

    def _output(self) -> tuple[bytes, bytes]:
        return b"".join(self._collected[Stream.STDOUT]), b"".join(self._collected[Stream.STDERR])


def left(deadline: float | None) -> float | None:
    """Return the seconds that are left until *deadline* on the monotonic clock; None if there is no deadline."""
    return None if deadline is None else max(deadline - time.monotonic(), 0)


def _forgotten(session: Session, args: Sequence[str]) -> None:
    runs = not session.over
    session.abandon()  # first, because the warning may be an exception
    if runs:
        warnings.warn(f"the process {args!r} was neither waited for nor closed, and is ended", ResourceWarning, 2)
