"""A connected socket, TLS or not, that one thread reads while another writes, and any can cut."""

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
import threading
import time


class Transport:
    """Bytes both ways. The socket does not block: who waits does it in poll(), which ``cut`` ends."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # OpenSSL's connections are not for two threads at once; a plain socket is.
        self._lock = threading.Lock() if isinstance(sock, ssl.SSLSocket) else contextlib.nullcontext()
        self._written = 0
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_into(self, buffer: memoryview, timeout: float | None) -> int | None:
        """Wait *timeout* seconds for bytes; return how many came, 0 at the end, None if it took too long.

        Raises OSError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                with self._lock:
                    return self._socket.recv_into(buffer)
            except (BlockingIOError, ssl.SSLWantReadError):
                event = select.POLLIN
            except ssl.SSLWantWriteError:
                event = select.POLLOUT
            if not self._wait(event, None if deadline is None else deadline - time.monotonic()):
                return None

    def write(self, data: bytes, deadline: float | None = None) -> None:
        """Write all of *data*, until *deadline* on the monotonic clock. Raises OSError, TimeoutError among them."""
        rest = memoryview(data)
        while rest:
            try:
                with self._lock:
                    sent = self._socket.send(rest)
            except (BlockingIOError, ssl.SSLWantWriteError):
                event = select.POLLOUT
            except ssl.SSLWantReadError:
                event = select.POLLIN
            else:
                self._written += sent
                rest = rest[sent:]
                if sent:
                    continue
                event = select.POLLOUT  # gevent's SSLSocket says so, instead of raising
            if not self._wait(event, None if deadline is None else deadline - time.monotonic()):
                raise TimeoutError("the server takes nothing")

    @property
    def delivered(self) -> int:
        """A number that grows as the server's kernel acknowledges what was written, where the system can tell."""
        with contextlib.suppress(OSError, ValueError):  # another kind of socket, or a closed one
            (waiting,) = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(struct.calcsize("i"))))
            return self._written - int(waiting)
        return 0

    def cut(self) -> None:
        """End the connection at once, both ways; who waits is woken. Idempotent."""
        with contextlib.suppress(OSError):  # it has ended already
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back; only after ``cut``, when nobody reads or writes any more."""
        self._socket.close()

    def _wait(self, event: int, timeout: float | None) -> bool:
        """Wait for *event*, at most *timeout* seconds; return whether there is anything to be looked at."""
        poll = select.poll()  # looked up here: gevent may have patched it
        poll.register(self._socket, event)
        return bool(poll.poll(None if timeout is None else max(timeout, 0) * 1000))
