"""The file objects of a session's streams."""

import contextlib
import io
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from dockerexec_ws.client.session import Session
from dockerexec_ws.errors import DockerExecError
from dockerexec_ws.protocol.events import Stream

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BUFFER_SIZE = 64 * 1024


class OutputReader(io.BufferedReader):
    """stdout or stderr, buffered. If the session fails, all output that came is read first. Then the failure is raised.

    A plain ``io.BufferedReader`` would lose what it had read when the exception came.
    """

    def __init__(self, session: Session, stream: Stream) -> None:
        self._raw = _OutputStream(session, stream)
        super().__init__(self._raw, BUFFER_SIZE)

    def give_up(self) -> bytes:
        """Return the buffered output. After that, reading returns nothing: another reader gets the rest."""
        self._raw.given_up = True
        return super().read1()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read *size* bytes, fewer only at the end. Without *size*, read to the end. See the class."""
        data = super().read(size) or b""
        if size is None or size < 0:
            self._raw.check(data)
        return self._checked(data) if size else data

    def read1(self, size: int = -1, /) -> bytes:
        """Read at most *size* bytes. Wait only if there is no output. See the class."""
        data = super().read1(size)
        return self._checked(data) if size else data

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line. Iterating does the same. See the class."""
        data = super().readline(size)
        return self._checked(data) if size else data

    def peek(self, size: int = 0, /) -> bytes:
        """Return buffered output without taking it. Wait only if there is none. See the class."""
        return self._checked(super().peek(size))

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill *buffer*, partly only at the end. Return the number of bytes. See the class."""
        return self._count_checked(super().readinto(buffer), buffer)

    def readinto1(self, buffer: "WriteableBuffer", /) -> int:
        """Put the available output into *buffer*. Return the number of bytes. See the class."""
        return self._count_checked(super().readinto1(buffer), buffer)

    def _checked(self, data: bytes) -> bytes:
        if not data:
            self._raw.check(data)
        return data

    def _count_checked(self, count: int | None, buffer: "WriteableBuffer") -> int:
        if not count and memoryview(buffer).nbytes:
            self._raw.check(b"")
        return count or 0


class _OutputStream(io.RawIOBase):
    """What OutputReader reads from. Once the session has failed, it returns None, like a raw file without data."""

    def __init__(self, session: Session, stream: Stream) -> None:
        self.given_up = False
        self._session = session
        self._stream = stream
        self._failure: DockerExecError | None = None

    def check(self, so_far: bytes) -> None:
        """Raise the failure of the session, with the output *so_far*, if reading has come to it."""
        if self._failure is not None:
            name = "stdout" if self._stream is Stream.STDOUT else "stderr"
            setattr(self._failure, name, so_far)
            raise self._failure.with_traceback(None)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """Read the available output. Wait if there is none."""
        if self.given_up:
            return None
        view = memoryview(buffer).cast("B")
        try:
            return self._session.receive_into(self._stream, view) if view else 0
        except DockerExecError as error:
            self._failure = error
            return None

    def close(self) -> None:
        """Stop reading. Further output is dropped."""
        if not self.closed:
            self._session.drop_output(self._stream)
        super().close()


class InputStream(io.RawIOBase):
    """stdin. Closing it ends the process's input. Its output still comes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: "ReadableBuffer") -> int:
        """Write all of *data*, as fast as the process takes it.

        Raises BrokenPipeError if the process has exited; SessionRefused, ServerShutdown, EngineError or ConnectionLost
        if the session failed.
        """
        view = memoryview(data).cast("B")
        self._session.write(view)
        return len(view)

    def close(self) -> None:
        """End stdin."""
        if not self.closed:
            self._session.end_stdin()
        super().close()


def close_stdin(stdin: IO[Any]) -> None:
    """End stdin. A process that exited without having read everything is no error."""
    with contextlib.suppress(BrokenPipeError):
        stdin.close()


def feed_soon(stdin: "io.BufferedWriter[InputStream]", data: bytes | None) -> Thread:
    """Write *data* and end stdin in a thread of its own, so that the output can be read meanwhile."""
    feeder = Thread(target=_feed, args=(stdin, data), name="dockerexec-ws stdin", daemon=True)
    feeder.start()
    return feeder


def _feed(stdin: "io.BufferedWriter[InputStream]", data: bytes | None) -> None:
    # The thread that reads the output learns how the session ended. ValueError: stdin is already closed.
    with contextlib.suppress(BrokenPipeError, DockerExecError, ValueError):
        if data:
            stdin.write(data)
        close_stdin(stdin)
