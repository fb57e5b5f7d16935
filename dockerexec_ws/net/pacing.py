"""When to read a stream again.

``recv`` does not switch to other greenlets while there are bytes: one stream would stop all others. ``gevent.sleep(0)``
does, but the event loop looks at its sockets only after up to 50 of those (gevent's CALLBACK_CHECK_COUNT): a keystroke
would wait for 50 reads and writes of other sessions. Hence ``take_turn``.

And a reader that takes every few KB at once makes the engine copy in small pieces, and both slower. So while a stream
is busy, its output is left to gather for a moment; never while it is quiet: the echo of a keystroke does not wait.
"""

import contextlib
import ctypes
import os
import time
from weakref import WeakKeyDictionary

import gevent
from gevent.event import Event

GATHER = 500_000
"""Nanoseconds that output is left to gather."""

ENOUGH = 128 * 1024
"""Bytes in a read after which the next may follow at once: the engine's end of a unix socket holds about 208 KB."""

_QUIET_SIZE = 2048  # bytes; of a read as small as that, the next may well be the echo of a keystroke
_QUIET_TIME = 0.002  # seconds between two reads


class Pacer:
    """Paces the reads of one stream."""

    def __init__(self) -> None:
        self._last = 0.0

    def wait(self, size: int) -> None:
        """Wait until it is time for the next read, when the last one brought *size* bytes."""
        now = time.monotonic()
        busy = now - self._last < _QUIET_TIME and _QUIET_SIZE < size < ENOUGH
        self._last = now
        (_of_this_thread().gathered if busy else _of_this_thread().turn).wait()


def take_turn() -> None:
    """Let all other greenlets run that can, those included whose sockets have become ready."""
    _of_this_thread().turn.wait()


class _Turn:
    """Wakes all who wait when the event loop has looked at its sockets."""

    def __init__(self, fd: int) -> None:
        self._watcher = gevent.get_hub().loop.io(fd, 1)
        self._woken: Event | None = None  # while somebody waits

    def wait(self) -> None:
        if self._woken is None:
            self._woken = Event()
            self._start()
            self._watcher.start(self._wake)
        self._woken.wait()

    def _start(self) -> None:
        """Have the file descriptor become readable; that of a turn always is."""

    def _wake(self) -> None:
        self._watcher.stop()
        assert self._woken is not None  # nosec B101  # for the type checker: there is a watcher while somebody waits
        self._woken.set()
        self._woken = None


class _Gathered(_Turn):
    """Wakes all who wait GATHER after the first has come; the event loop's own timers count milliseconds."""

    def __init__(self) -> None:
        # O_NONBLOCK and O_CLOEXEC are the same numbers as TFD_NONBLOCK and TFD_CLOEXEC.
        self._fd = _libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        super().__init__(self._fd)

    def _start(self) -> None:
        _libc.timerfd_settime(self._fd, 0, _ONCE, None)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # read by a process that was forked off
            os.read(self._fd, 8)
        super()._wake()


class _OfThread:
    """The turn and the timer of a thread's event loop."""

    def __init__(self) -> None:
        self.turn = _Turn(os.eventfd(1, os.EFD_CLOEXEC))
        self.gathered = _Gathered()


_libc = ctypes.CDLL(None, use_errno=True)
_ONCE = (ctypes.c_long * 4)(0, 0, 0, GATHER)  # struct itimerspec: no interval, then the time
_of_hubs: "WeakKeyDictionary[object, _OfThread]" = WeakKeyDictionary()


def _of_this_thread() -> _OfThread:
    """Return what belongs to this thread's event loop."""
    hub = gevent.get_hub()
    if hub not in _of_hubs:
        _of_hubs[hub] = _OfThread()
    return _of_hubs[hub]
