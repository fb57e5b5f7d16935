"""Whether a silent peer is still there.

A ping that is not answered proves nothing while the peer does not read: it waits behind output, and an honest slow
reader must never be cut. So its kernel is asked as well (TCP_INFO): one that does not acknowledge what is on its way
is gone, one that has closed its window is not.
"""

import contextlib
import enum
import fcntl
import select
import socket
import struct
import termios
import time

from gevent import monkey

_poll = monkey.get_original("select", "poll")

# struct tcp_info (linux/tcp.h): 8 bytes, then 32-bit numbers, of which the 5th is tcpi_unacked (segments on their way)
# and the 13th tcpi_last_ack_recv (milliseconds).
_TCP_INFO = struct.Struct("=8x16xI28xI")
_TCP_INFO_ACKED = struct.Struct("=120xQ")  # tcpi_bytes_acked
# A kernel with a closed window is probed, in the end every 2 minutes, and answers.
_PROBE_TIMEOUT = 300.0


class Verdict(enum.Enum):
    """What is to be done about a silent peer."""

    WAIT = enum.auto()
    PING = enum.auto()
    DEAD = enum.auto()


class Keepalive:
    """Decides when to ping a peer and when it is dead.

    *interval* is the silence, in seconds, after which a ping is sent (0: never); *timeout* the further seconds within
    which any byte has to come.
    """

    def __init__(self, sock: socket.socket, *, interval: float, timeout: float) -> None:
        self._socket = sock
        self._interval = interval
        self._timeout = timeout
        self._heard = time.monotonic()
        self._pinged: float | None = None
        self._unanswered_output = False

    def heard(self) -> None:
        """Note that bytes came: any is a sign of life."""
        self._heard = time.monotonic()
        self._pinged = None
        self._unanswered_output = False

    def output_sent(self) -> None:
        """Note that stream data was sent, behind which a ping may wait in the peer's own buffers."""
        self._unanswered_output = True

    @property
    def wait(self) -> float | None:
        """Seconds until ``verdict`` is to be asked for, 0 or less if it is due; None for never."""
        if not self._interval:
            return None
        due = self._heard + self._interval if self._pinged is None else self._pinged + self._timeout
        return due - time.monotonic()

    def verdict(self, *, writing: bool) -> Verdict:
        """Judge the silence; *writing* says that bytes of ours, a ping perhaps, wait for the peer's window."""
        now = time.monotonic()
        if self._pinged is None:
            if now - self._heard < self._interval:
                return Verdict.WAIT
        elif now - self._pinged < self._timeout:
            return Verdict.WAIT
        elif self._kernel_gone() or not (writing or self._unanswered_output or self.undelivered()):
            return Verdict.DEAD
        self._pinged = now
        return Verdict.PING

    def hung_up(self) -> bool:
        """Whether the peer has closed, even if bytes it sent before are still unread."""
        with contextlib.suppress(OSError, ValueError):
            poll = _poll()
            poll.register(self._socket, select.POLLRDHUP)
            return any(event & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
        return True  # the socket is closed

    def undelivered(self) -> bool:
        """Whether the peer's kernel has not acknowledged all that was written."""
        with contextlib.suppress(OSError):  # not every socket can tell
            return any(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(struct.calcsize("i"))))
        return False

    def delivered(self) -> int:
        """Return how many bytes the peer's kernel has acknowledged since the beginning; 0 if that cannot be told."""
        with contextlib.suppress(OSError, AttributeError, struct.error):  # closed, not TCP, not Linux
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_ACKED.size)
            return int(_TCP_INFO_ACKED.unpack(info)[0])
        return 0

    def _kernel_gone(self) -> bool:
        """Whether the peer's kernel has answered nothing since the last ping, although something is on its way."""
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            unacknowledged, since_acknowledgement = _TCP_INFO.unpack(info)
        except (OSError, AttributeError, struct.error):  # not TCP, or not Linux
            return False
        limit = self._timeout if unacknowledged else _PROBE_TIMEOUT
        return bool(since_acknowledgement / 1000 > limit) and self.undelivered()
