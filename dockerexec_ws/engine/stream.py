"""The hijacked connection of a running exec. It carries raw bytes both ways; the calls block."""

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from urllib3 import BaseHTTPResponse

from dockerexec_ws.errors import EngineUnavailableError, NoUpgradeError
from dockerexec_ws.net.buffers import READ_SIZE, ReadBuffer, buffered
from dockerexec_ws.net.pacing import Pacer

Bytes = bytes | bytearray | memoryview

_RECEIVE_BUFFER = 1024 * 1024
_LONGEST_INTERVAL = 32767  # seconds; the kernel's limit


class HijackedStream:
    """The stream of an exec. *answer* is the head of the engine's answer to its start, which owns the connection.

    One greenlet may read while another writes. ``read`` and ``write`` raise EngineUnavailableError if the engine breaks
    off the connection, or if its machine has not acknowledged anything for *timeout* seconds.
    """

    def __init__(self, answer: BaseHTTPResponse, timeout: float) -> None:
        self._response: BaseHTTPResponse | None = answer
        if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
            answer.close()
            raise NoUpgradeError(
                f"the engine answered {answer.status} instead of 101: a proxy before the engine does not pass on "
                "upgrades (docker exec fails there, too)"
            )
        self.ends_at_half_close = "nginx" in answer.headers.get("Server", "").lower()
        """Whether a half-close ends the output as well: nginx then closes both directions."""
        # The response's buffered reader holds the bytes that arrived together with the head, and it has the socket.
        # There is no public way to either. docker-py's way loses these bytes (docker-py issues 425, 3332).
        reader: Any = answer._fp.fp  # type: ignore[attr-defined]
        self._socket: socket.socket = reader.raw._sock
        try:
            self._early = buffered(reader, self._socket)
            if not isinstance(self._socket, ssl.SSLSocket):
                # Closing the response would close the socket. With a duplicate, its 25 kB of memory can be freed.
                self._socket = self._socket.dup()
                answer.close()
                self._response = None
            # The timeout of the request is for answers, but a session may be silent for days.
            self._socket.settimeout(None)
            if self._socket.family in (socket.AF_INET, socket.AF_INET6):
                notice_vanishing(self._socket, timeout)
                # Otherwise the kernel would buffer up to 30 MB, behind which later output waits for a slow client.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        except BaseException:
            self.close()
            raise
        self.reading_since: float | None = None
        """Since when, by the monotonic clock, a greenlet has waited for bytes; None while none waits."""
        self._buffer = ReadBuffer()
        self._pacer = Pacer()
        self._last_size = 0

    def read(self, size: int = READ_SIZE) -> memoryview:
        """Wait for bytes and return at most *size*, or none at the end. They are valid until the next read."""
        if self._early:
            early, self._early = self._early[:size], self._early[size:]
            return memoryview(early)
        self._pacer.wait(self._last_size)
        self.reading_since = time.monotonic()
        try:
            data = self._buffer.read(self._socket, size)
        except OSError as error:
            raise EngineUnavailableError("the connection to the engine broke off") from error
        finally:
            self.reading_since = None
        self._last_size = len(data)
        return data

    def write(self, parts: Sequence[Bytes], *, wait: bool = True) -> int:
        """Write some of *parts*, without *wait* only what the engine takes at once. Returns how many bytes it took."""
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                return self._socket.send(parts[0]) if wait else 0
            return self._socket.sendmsg(parts, (), 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise EngineUnavailableError("the connection to the engine broke off") from error

    def end_reading(self) -> None:
        """Let ``read`` find the end after the bytes that have arrived."""
        # By a duplicate, because gevent's method would wake the reader with an error before it has read them.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._socket.fileno())) as duplicate:
            duplicate.shutdown(socket.SHUT_RD)

    def half_close(self) -> None:
        """End the process's stdin. Its output goes on, except with a tty, where the engine would cut it."""
        with contextlib.suppress(OSError):  # the process or the engine is gone, and the next read finds out
            # SSLSocket's own method would stop decrypting what still arrives.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection. A greenlet that waits in ``read`` or ``write`` gets EngineUnavailableError."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        if self._response is not None:
            self._response.close()
        self._socket.close()


def notice_vanishing(sock: socket.socket, timeout: float) -> None:
    """Have the kernel end a TCP connection *timeout* seconds after the other machine vanished. Nothing else would."""
    probes = 4
    interval = min(max(int(timeout / (probes + 1)), 1), _LONGEST_INTERVAL)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, probes)
    # TCP_USER_TIMEOUT would also end the connection while the process takes no stdin. If bytes stay unacknowledged, the
    # kernel gives up after a quarter of an hour.
