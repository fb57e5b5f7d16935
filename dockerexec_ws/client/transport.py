"""A connected socket, with or without TLS. One thread reads, another one writes, and any thread can cut it."""

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
    """Bytes in both directions. The socket does not block: threads wait in poll(), and ``cut`` wakes them."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # Two threads may use a plain socket at once, but not an OpenSSL connection.
        self._lock = threading.Lock() if isinstance(sock, ssl.SSLSocket) else contextlib.nullcontext()
        self._written = 0
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_into(self, buffer: memoryview, timeout: float | None) -> int | None:
        """Wait at most *timeout* seconds for bytes. Return how many came; 0 at the end, None after the timeout.

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
        """Write all of *data*. Raises TimeoutError after *deadline* on the monotonic clock, or another OSError."""
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
                event = select.POLLOUT  # gevent's SSLSocket returns 0 instead of raising SSLWantWriteError
            if not self._wait(event, None if deadline is None else deadline - time.monotonic()):
                raise TimeoutError("the server does not read")

    @property
    def delivered(self) -> int:
        """A number that grows as the server's kernel acknowledges bytes. It stays 0 where the system cannot tell."""
        with contextlib.suppress(OSError, ValueError):  # another kind of socket, or a closed one
            (waiting,) = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(struct.calcsize("i"))))
            return self._written - int(waiting)
        return 0

    def cut(self) -> None:
        """End the connection at once, in both directions. Waiting threads wake up. Idempotent."""
        with contextlib.suppress(OSError):  # it has ended already
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket. Call it only after ``cut``, when no thread reads or writes any more."""
        self._socket.close()

    def _wait(self, event: int, timeout: float | None) -> bool:
        """Wait for *event*, at most *timeout* seconds. Return whether anything happened."""
        poll = select.poll()  # looked up here, because gevent may have patched it
        poll.register(self._socket, event)
        return bool(poll.poll(None if timeout is None else max(timeout, 0) * 1000))
