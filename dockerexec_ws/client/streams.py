"""The raw file objects of a session's streams; ``io``'s buffered ones go around them."""

import io
from typing import TYPE_CHECKING

from dockerexec_ws.client.session import Session
from dockerexec_ws.protocol.messages import Code

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BUFFER_SIZE = 64 * 1024


class OutputStream(io.RawIOBase):
    """stdout or stderr. At the end of a session that ended by anything but an exit code, reading raises that."""

    def __init__(self, session: Session, code: Code) -> None:
        self.given_up = False
        """Whether the output is somebody else's now: reading then has nothing, as a raw file has nothing yet (None)."""
        self._session = session
        self._code = code

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """Read what there is, or wait for it. Raises SessionRefused, ServerShutdown, EngineError, ConnectionLost."""
        if self.given_up:
            return None
        view = memoryview(buffer).cast("B")
        return self._session.receive_into(self._code, view) if view else 0

    def close(self) -> None:
        """Read nothing more: what still comes is dropped."""
        if not self.closed:
            self._session.drop_output(self._code)
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
