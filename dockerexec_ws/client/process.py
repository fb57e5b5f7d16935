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
    """A command that runs in a container, with the methods of ``subprocess.Popen``; ``connect`` makes it.

    ``stdin``, ``stdout`` and ``stderr`` are binary file objects, buffered: flush ``stdin`` to have its bytes sent,
    close it for the half-close. As with Popen, a process stops when it has written 2 MiB (128 KiB with a tty) that
    nobody reads, of stdout and stderr together: read both, by threads or ``communicate``, or close the one that does
    not matter. With a tty everything is on ``stdout``.

    Where a session ends by anything but an exit code, what reads, writes and waits raises SessionRefused,
    ServerShutdown, EngineError or ConnectionLost; output that came before is read first, and what ``read()`` had of it
    by then is the exception's ``stdout`` or ``stderr``.

    As a context manager it closes ``stdin`` at the end and waits for the process; an exception ends the process.
    """

    def __init__(self, session: Session, args: Sequence[str], *, tty: bool) -> None:
        self.args = list(args)
        """The words of the command."""
        self.tty = tty
        """Whether it has a terminal."""
        self._session = session
        self.stdin = io.BufferedWriter(InputStream(session), BUFFER_SIZE)
        self.stdout = OutputReader(session, Stream.STDOUT)
        self.stderr = OutputReader(session, Stream.STDERR)
        self._collected: dict[Stream, list[bytes | memoryview]] = {Stream.STDOUT: [], Stream.STDERR: []}
        self._feeder: Thread | None = None
        self._finalizer = weakref.finalize(self, _forgotten, session, self.args)

    @property
    def returncode(self) -> int | None:
        """The exit code, 0 to 255, as soon as the server has told it; else None."""
        return self._session.exit_code

    def poll(self) -> int | None:
        """Return the exit code, None if it runs. Raises what the session ended with instead."""
        return self._session.wait(0) if self._session.over else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises subprocess.TimeoutExpired after *timeout* seconds; see the class."""
        try:
            return self._session.wait(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0) from None

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002
        """Send *input*, end stdin, and return all of stdout and stderr once the process has exited.

        Raises subprocess.TimeoutExpired after *timeout* seconds: nothing is lost then, it can be called again (its
        *input* no longer counts). What the session ends with instead has the output that came in ``stdout`` and
        ``stderr``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._feeder is None:
            if input and self.stdin.closed:
                raise ValueError("stdin is closed already")
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
        """Return the next piece of output of either stream (Stream.STDOUT, Stream.STDERR), in the order of its arrival.

        None is the end of a process that has exited. Instead of the file objects, for who wants both in order. Raises
        TimeoutError; see the class.
        """
        return self._session.receive(timeout=timeout)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size, each 0 to 65535. Raises SettingsError if it has none."""
        if not self.tty:
            raise SettingsError("a session without a tty has no size")
        self._session.send(Resize(rows, columns))

    def close(self) -> None:
        """End the session: a process that still runs is ended, output that was not read is dropped. Idempotent.

        Returns when the server has ended the process, or does not answer for 3 s.
        """
        self._session.close()
        self._finalizer.detach()  # not before: that may be interrupted
        for stream in (self.stdout, self.stderr):
            stream.close()
        with contextlib.suppress(BrokenPipeError, DockerExecError):  # what was not flushed is nobody's any more
            self.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._finalizer.alive:  # not closed already
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
    session.abandon()  # first: a warning may be an exception
    if runs:
        warnings.warn(f"the process {args!r} was neither waited for nor closed, and is ended", ResourceWarning, 2)
