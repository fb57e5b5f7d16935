"""A command in a container, with the methods of ``subprocess.Popen``."""

import contextlib
import io
import signal
import subprocess  # nosec B404  # its exceptions and its result only
import time
import warnings
import weakref
from collections.abc import Sequence
from threading import Thread
from types import TracebackType
from typing import Any, Self

from dockerexec_ws.client.redirection import Redirection
from dockerexec_ws.client.session import Session
from dockerexec_ws.client.streams import BUFFER_SIZE, InputStream, OutputReader, close_stdin, feed_soon
from dockerexec_ws.client.text import TextReader
from dockerexec_ws.errors import DockerExecError, SettingsError
from dockerexec_ws.protocol.events import Resize, Stream


class Process:
    """A command that runs in a container, with the methods of ``subprocess.Popen``. ``connect`` returns one.

    ``stdin``, ``stdout`` and ``stderr`` are buffered file objects, of bytes or of text, or None if they are not pipes.
    Flush ``stdin`` to send its bytes, and close it to end the process's input. As with Popen, a process stops when it
    has written 2 MiB (128 KiB with a tty) that nobody reads, of stdout and stderr together. Read both, with threads or
    ``communicate``, or close the one that does not matter. With a tty, all output is on ``stdout``.

    If a session ends without an exit code, the methods that read, write or wait raise SessionRefused, ServerShutdown,
    EngineError or ConnectionLost. Output that came before can still be read. What ``read()`` had read by then is in the
    exception's ``stdout`` or ``stderr``.

    As a context manager, it closes ``stdin`` at the end and waits for the process. An exception ends the process.
    """

    def __init__(
        self,
        session: Session,
        args: Sequence[str],
        *,
        tty: bool,
        redirection: Redirection | None = None,
        encoding: str | None = None,
        errors: str = "strict",
    ) -> None:
        self.args = list(args)
        """The words of the command."""
        self.tty = tty
        """Whether the command has a terminal."""
        self._session = session
        self._files = Redirection() if redirection is None else redirection
        self._readers = {stream: OutputReader(session, stream) for stream in sorted(self._files.piped)}
        self._writer = io.BufferedWriter(InputStream(session), BUFFER_SIZE) if self._files.stdin_piped else None
        # Any, because the types depend on the arguments.
        self.stdin: Any = self._writer
        """stdin, if it is a pipe."""
        self._texts: dict[Stream, TextReader] = {}
        if encoding is not None:
            self._texts = {stream: TextReader(reader, encoding, errors) for stream, reader in self._readers.items()}
            if self._writer is not None:
                self.stdin = io.TextIOWrapper(self._writer, encoding, errors, newline="\n", write_through=True)
        outputs: dict[Stream, Any] = {**self._readers, **self._texts}
        self.stdout: Any = outputs.get(Stream.STDOUT)
        """stdout, if it is a pipe."""
        self.stderr: Any = outputs.get(Stream.STDERR)
        """stderr, if it is a pipe."""
        self._collected: dict[Stream, list[bytes | memoryview]] = {stream: [] for stream in self._readers}
        self._done: tuple[Any, Any] | None = None
        self._feeder: Thread | None = None
        self._finalizer = weakref.finalize(self, _forgotten, session, self.args)
        session.belongs_to(self)  # not to itself any longer, because threads that pass on streams keep it
        self._files.start(session)

    @property
    def returncode(self) -> int | None:
        """The exit code, 0 to 255, once it has come; -15 after ``terminate`` and -9 after ``kill``. Else None."""
        return self._session.exit_code

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs. Raises the failure of a session, and as ``wait``."""
        return self._session.wait(0) if self._session.over and self._files.wait(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code, and until the output is in its files.

        Raises subprocess.TimeoutExpired after *timeout* seconds, OSError if a file cannot be read or written, and as
        the class says.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            code = self._session.wait(timeout)
            in_time = self._files.wait(left(deadline))
        except TimeoutError:
            in_time = False
        except DockerExecError:
            self._files.wait(left(deadline))  # raises if the session was ended because of a file
            raise
        if not in_time:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, input: bytes | str | None = None, timeout: float | None = None) -> tuple[Any, Any]:  # noqa: A002
        """Send *input*, end stdin, and return all of stdout and stderr once the process has exited.

        What is not a pipe is None. Raises subprocess.TimeoutExpired after *timeout* seconds. No output is lost: call it
        again, and it ignores *input* then. The exception for a session that failed has the output so far in ``stdout``
        and ``stderr``. In exceptions it is bytes, without what a text stream has decoded before.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._done is not None:
            return self._done
        if self._feeder is None:
            self._begin_to_communicate(input)
        only = next(iter(self._readers)) if len(self._readers) == 1 else None
        try:
            while self._readers and (got := self._session.receive(only, timeout=left(deadline))) is not None:
                self._collected[got[0]].append(got[1])
            self.wait(left(deadline))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise subprocess.TimeoutExpired(self.args, timeout or 0, *self._output()) from None
        except DockerExecError as error:
            self._files.wait(left(deadline))
            error.stdout, error.stderr = self._output()
            raise
        if self._feeder is not None:
            self._feeder.join()
        stdout, stderr = (
            self._texts[stream].with_rest(data) if data is not None and stream in self._texts else data
            for stream, data in zip(Stream, self._output(), strict=True)
        )
        self._done = stdout, stderr
        return self._done

    def receive(self, timeout: float | None = None) -> tuple[Stream, memoryview] | None:
        """Return the next piece of output and its stream (1 stdout, 2 stderr), in the order of arrival.

        Returns None once the process has exited. Use it instead of the file objects to keep the order of both streams.
        Raises TimeoutError, and as the class says.
        """
        return self._session.receive(timeout=timeout)

    def terminate(self) -> None:
        """End the process: the server sends it SIGHUP, and SIGKILL after its ``--grace``. ``returncode`` is then -15.

        Nothing happens if it has exited. The number says what was asked for; how the process ended is not known.
        """
        self._session.kill(-signal.SIGTERM)

    def kill(self) -> None:
        """Do the same as ``terminate``, with a ``returncode`` of -9."""
        self._session.kill(-signal.SIGKILL)

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
        self._close_outputs()
        with contextlib.suppress(BrokenPipeError, DockerExecError):  # drop what was not flushed
            if self.stdin is not None:
                self.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._finalizer.alive:  # not closed yet
                if self.stdin is not None:
                    close_stdin(self.stdin)
                self._close_outputs()
                self.wait()
        finally:
            self.close()

    def _begin_to_communicate(self, input: bytes | str | None) -> None:  # noqa: A002
        if input and self.stdin is None:
            raise ValueError("stdin is not a pipe, so there can be no input")
        if input and self.stdin.closed:
            raise ValueError("stdin is already closed")
        if isinstance(input, str):
            if not isinstance(self.stdin, io.TextIOWrapper):
                raise TypeError("input must be bytes, because the streams are not text")
            input = input.encode(self.stdin.encoding, self.stdin.errors or "strict")  # noqa: A001
        for stream, reader in self._readers.items():
            if not reader.closed:
                self._collected[stream].append(reader.give_up())
        if self._writer is not None:
            self._feeder = feed_soon(self._writer, input)

    def _close_outputs(self) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def _output(self) -> tuple[bytes | None, bytes | None]:
        stdout, stderr = (b"".join(self._collected[each]) if each in self._collected else None for each in Stream)
        return stdout, stderr


def left(deadline: float | None) -> float | None:
    """Return the seconds that are left until *deadline* on the monotonic clock; None if there is no deadline."""
    return None if deadline is None else max(deadline - time.monotonic(), 0)


def _forgotten(session: Session, args: Sequence[str]) -> None:
    runs = not session.over
    session.abandon()  # first, because the warning may be an exception
    if runs:
        warnings.warn(f"the process {args!r} was neither waited for nor closed, and is ended", ResourceWarning, 2)
