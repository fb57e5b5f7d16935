"""The hijacked connection of a running exec: raw bytes both ways, by blocking calls."""

import contextlib
import socket
import ssl
from typing import Any

from dockerexec_ws.errors import EngineUnavailableError

READ_SIZE = 256 * 1024


def buffered(reader: Any, sock: socket.socket) -> bytes:
    """Return what *reader*, a buffered reader on *sock*, has read already; *sock*'s timeout is 0 afterwards."""
    sock.settimeout(0)  # peek() shall return what is there, not wait for more
    try:
        return bytes(reader.peek())
    except ssl.SSLWantReadError:  # what other sockets say by None
        return b""


class HijackedStream:
    """The stream that docker-py's ``exec_start(socket=True)`` opened; *raw* is what that returned.

    One greenlet may read while another writes. ``read`` and ``write`` raise EngineUnavailableError when the engine
    breaks off.
    """

    def __init__(self, raw: Any) -> None:
        # docker-py hands out what lies below the response's buffered reader, where the bytes are that arrived together
        # with the response's head (docker-py issues 425, 3332). The response stays referenced: its end would close
        # the socket.
        self._response = raw._response
        self._socket: socket.socket = getattr(raw, "_sock") if isinstance(raw, socket.SocketIO) else raw  # noqa: B009
        try:
            self._early = buffered(self._response.raw._fp.fp, self._socket)
            # docker-py's timeout is for answers; a session may be silent for days.
            self._socket.settimeout(None)
        except BaseException:
            self.close()
            raise

    def read(self, size: int = READ_SIZE) -> bytes:
        """Wait for bytes and return them, at most *size*; ``b""`` at the end of the stream."""
        if self._early:
            early, self._early = self._early[:size], self._early[size:]
            return early
        try:
            return self._socket.recv(size)
        except OSError as error:
            raise EngineUnavailableError("the connection to the engine broke off") from error

    def write(self, data: memoryview) -> int:
        """Wait until the engine takes some of *data* and return how many bytes it took."""
        try:
            return self._socket.send(data)
        except OSError as error:
            raise EngineUnavailableError("the connection to the engine broke off") from error

    def half_close(self) -> None:
        """End the process's stdin; its output goes on. Not for an exec with a tty: the engine would cut its output."""
        with contextlib.suppress(OSError):  # the process, or the engine, is gone: reading tells
            # Not the method of SSLSocket, which would give up the decryption of what still comes.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection; a greenlet that waits in ``read`` or ``write`` is woken by EngineUnavailableError."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._response.close()
        self._socket.close()
