"""When to read a stream again.

``recv`` does not switch to other greenlets while there are bytes to read, so one stream could stop all others.
``gevent.sleep(0)`` does switch, but the event loop looks at its sockets only after up to 50 such calls (gevent's
CALLBACK_CHECK_COUNT), so a keystroke would wait for 50 reads and writes of other sessions. ``take_turn`` has the event
loop look at once.

A reader that takes every few kB at once makes the engine copy in small pieces, which slows down both. So a busy
stream's output is left to gather for a moment. A quiet stream's is not, so the echo of a keystroke does not wait.
"""

import contextlib
import ctypes
import os
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

import gevent
from gevent.event import Event

GATHER = 500_000
"""Nanoseconds that output is left to gather."""

ENOUGH = 128 * 1024
"""Bytes in a read after which the next may follow at once. The engine's end of a unix socket holds about 208 kB."""

_QUIET_SIZE = 2048  # bytes; after a read this small, the next may be the echo of a keystroke
_QUIET_TIME = 0.002  # seconds between two reads


class Pacer:
    """Paces the reads of one stream. *clock* returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = 0.0

    def wait(self, size: int) -> None:
        """Wait until it is time for the next read. The last read brought *size* bytes."""
        (_of_this_thread().gathered if self.gathers(size) else _of_this_thread().turn).wait()

    def gathers(self, size: int) -> bool:
        """Return whether the stream is busy, so that its output is left to gather; to be asked once for each read."""
        now = self._clock()
        since, self._last = now - self._last, now
        return since < _QUIET_TIME and _QUIET_SIZE < size < ENOUGH


def take_turn() -> None:
    """Let all other greenlets run that can run, including those whose sockets have become ready."""
    _of_this_thread().turn.wait()


class _Turn:
    """Wakes all greenlets that wait, once the event loop has looked at its sockets."""

    def __init__(self, fd: int) -> None:
        self._watcher = gevent.get_hub().loop.io(fd, 1)
        self._woken: Event | None = None  # while a greenlet waits

    def wait(self) -> None:
        if self._woken is None:
            self._woken = Event()
            self._start()
            self._watcher.start(self._wake)
        self._woken.wait()

    def _start(self) -> None:
        """Make the file descriptor become readable. That of a turn always is."""

    def _wake(self) -> None:
        self._watcher.stop()
        assert self._woken is not None  # nosec B101  # for the type checker: the watcher runs while a greenlet waits
        self._woken.set()
        self._woken = None


class _Gathered(_Turn):
    """Wakes all greenlets that wait, GATHER after the first came. The event loop's own timers count milliseconds."""

    def __init__(self) -> None:
        # O_NONBLOCK and O_CLOEXEC are the same numbers as TFD_NONBLOCK and TFD_CLOEXEC.
        self._fd = _libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        super().__init__(self._fd)

    def _start(self) -> None:
        _libc.timerfd_settime(self._fd, 0, _ONCE, None)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a forked process has read it
            os.read(self._fd, 8)
        super()._wake()


class _OfThread:
    """What each thread's event loop has once."""

    def __init__(self) -> None:
        self.turn = _Turn(os.eventfd(1, os.EFD_CLOEXEC))
        self.gathered = _Gathered()


_libc = ctypes.CDLL(None, use_errno=True)
_ONCE = (ctypes.c_long * 4)(0, 0, 0, GATHER)  # struct itimerspec: no interval, then the time
_of_hubs: "WeakKeyDictionary[object, _OfThread]" = WeakKeyDictionary()


def _of_this_thread() -> _OfThread:
    """Return the turn and the timer of this thread's event loop."""
    hub = gevent.get_hub()
    if hub not in _of_hubs:
        _of_hubs[hub] = _OfThread()
    return _of_hubs[hub]
