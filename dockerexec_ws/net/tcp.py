"""What the kernel knows about a TCP connection, and what it is told about it.

Each question has an answer for sockets that are not TCP, and for systems other than Linux.
"""

import contextlib
import fcntl
import select
import socket
import struct
import termios

from gevent import monkey

_poll = monkey.get_original("select", "poll")

# struct tcp_info (linux/tcp.h): 8 bytes, then 32-bit numbers. The 5th is tcpi_unacked (segments in flight), the 13th
# tcpi_last_ack_recv (milliseconds).
_TCP_INFO = struct.Struct("=8x16xI28xI")
_TCP_INFO_ACKED = struct.Struct("=120xQ")  # tcpi_bytes_acked

_PROBE_TIMEOUT = 300.0  # seconds; a closed window is probed, at the longest every 2 minutes, and a live kernel answers
_MOST_UNSENT = 64 * 1024  # bytes


class TcpState:
    """The kernel's view of the connection on *sock*."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def send_promptly(self) -> None:
        """Send small messages at once (TCP_NODELAY)."""
        with contextlib.suppress(OSError):  # a unix socket has no such option
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def limit_unsent(self) -> None:
        """Limit how much unsent data the kernel buffers, so that later output is not delayed behind it."""
        with contextlib.suppress(OSError, AttributeError):  # not TCP, or a system without the option
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)

    def hung_up(self) -> bool:
        """Return whether the peer has closed its side, even if bytes that it sent before are still unread."""
        with contextlib.suppress(OSError, ValueError):
            poll = _poll()
            poll.register(self._socket, select.POLLRDHUP)
            return any(event & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))
        return True  # the socket is closed

    def undelivered(self) -> bool:
        """Return whether the peer's kernel has yet to acknowledge some of what was written; False if unknown."""
        with contextlib.suppress(OSError):  # not every socket can tell
            return any(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(struct.calcsize("i"))))
        return False

    def delivered(self) -> int:
        """Return how many bytes the peer's kernel has acknowledged since the beginning; 0 if unknown."""
        with contextlib.suppress(OSError, AttributeError, struct.error):  # closed, not TCP, not Linux
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_ACKED.size)
            return int(_TCP_INFO_ACKED.unpack(info)[0])
        return 0

    def gone(self, timeout: float) -> bool:
        """Return whether the peer's kernel has acknowledged nothing for *timeout* seconds although it should have.

        A kernel that has closed its window has longer: it is probed less and less often.
        """
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
            in_flight, since_acknowledgement = _TCP_INFO.unpack(info)
        except (OSError, AttributeError, struct.error):  # not TCP, or not Linux
            return False
        limit = timeout if in_flight else _PROBE_TIMEOUT
        return bool(since_acknowledgement / 1000 > limit) and self.undelivered()
