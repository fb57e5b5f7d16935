"""The file objects of a session's streams."""

import contextlib
import io
from threading import Thread
from typing import TYPE_CHECKING

from dockerexec_ws.client.session import Session
from dockerexec_ws.errors import DockerExecError
from dockerexec_ws.protocol.events import Stream

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BUFFER_SIZE = 64 * 1024


class OutputReader(io.BufferedReader):
    """stdout or stderr, buffered. What a session ends with instead of an exit code is raised after all that came.

    ``io``'s own would lose, with an exception, what it had read until then.
    """

    def __init__(self, session: Session, stream: Stream) -> None:
        self._raw = _OutputStream(session, stream)
        super().__init__(self._raw, BUFFER_SIZE)

    def give_up(self) -> bytes:
        """Return what was read and not asked for; reading has nothing any more: the rest is somebody else's."""
        self._raw.given_up = True
        return super().read1()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read *size* bytes, fewer only at the end; without it all there is. See the class."""
        data = super().read(size) or b""
        if size is None or size < 0:
            self._raw.check(data)
        return self._checked(data) if size else data

    def read1(self, size: int = -1, /) -> bytes:
        """Read what there is, *size* bytes at most; wait only where there is nothing. See the class."""
        data = super().read1(size)
        return self._checked(data) if size else data

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line; iterating does the same. See the class."""
        data = super().readline(size)
        return self._checked(data) if size else data

    def peek(self, size: int = 0, /) -> bytes:
        """Return what there is without taking it, after waiting where there is nothing. See the class."""
        return self._checked(super().peek(size))

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill *buffer*; return how many bytes it has now, fewer than it could only at the end. See the class."""
        return self._count_checked(super().readinto(buffer), buffer)

    def readinto1(self, buffer: "WriteableBuffer", /) -> int:
        """Put into *buffer* what there is; return how many bytes that is. See the class."""
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
    """What OutputReader reads from; where a session has failed there is nothing (None, as of a raw file)."""

    def __init__(self, session: Session, stream: Stream) -> None:
        self.given_up = False
        self._session = session
        self._stream = stream
        self._failure: DockerExecError | None = None

    def check(self, so_far: bytes) -> None:
        """Raise what the session ended with, with the output *so_far*, if it has come to that."""
        if self._failure is not None:
            name = "stdout" if self._stream is Stream.STDOUT else "stderr"
            setattr(self._failure, name, so_far)
            raise self._failure.with_traceback(None)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """Read what there is, or wait for it."""
        if self.given_up:
            return None
        view = memoryview(buffer).cast("B")
        try:
            return self._session.receive_into(self._stream, view) if view else 0
        except DockerExecError as error:
            self._failure = error
            return None

    def close(self) -> None:
        """Read nothing more: what still comes is dropped."""
        if not self.closed:
            self._session.drop_output(self._stream)
        super().close()


class InputStream(io.RawIOBase):
    """stdin. Closing it is the half-close: the process then reads the end, its output still comes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: "ReadableBuffer") -> int:
        """Write all of *data*, as fast as the process takes it.

        Raises BrokenPipeError when it has exited; SessionRefused, ServerShutdown, EngineError, ConnectionLost.
        """
        view = memoryview(data).cast("B")
        self._session.write(view)
        return len(view)

    def close(self) -> None:
        """End stdin."""
        if not self.closed:
            self._session.end_stdin()
        super().close()


def close_stdin(stdin: "io.BufferedWriter[InputStream]") -> None:
    """End stdin. A process that exited without having read everything is no error."""
    with contextlib.suppress(BrokenPipeError):
        stdin.close()


def feed_soon(stdin: "io.BufferedWriter[InputStream]", data: bytes | None) -> Thread:
    """Write *data* and end stdin, by a thread, so that the output can be read meanwhile."""
    feeder = Thread(target=_feed, args=(stdin, data), name="dockerexec-ws stdin", daemon=True)
    feeder.start()
    return feeder


def _feed(stdin: "io.BufferedWriter[InputStream]", data: bytes | None) -> None:
    # The thread that reads the output learns how the session ended. ValueError: stdin is closed already.
    with contextlib.suppress(BrokenPipeError, DockerExecError, ValueError):
        if data:
            stdin.write(data)
        close_stdin(stdin)
