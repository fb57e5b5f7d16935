"""A greenlet that runs only while there is work."""

from collections.abc import Callable

import gevent

Spawn = Callable[[Callable[[], None]], "gevent.Greenlet[..., None]"]


class OnDemand:
    """Runs *work* in a greenlet, made by *spawn*, when it is woken; never twice at the same time.

    *work* has to check for new work until it returns, because a wake-up has no effect while it runs. If *work* raises
    an exception, it never runs again.
    """

    def __init__(self, spawn: Spawn, work: Callable[[], None]) -> None:
        self._spawn = spawn
        self._work = work
        self._greenlet: gevent.Greenlet[..., None] | None = None

    @property
    def idle(self) -> bool:
        """Whether *work* is not running."""
        return self._greenlet is None

    def wake(self) -> None:
        """Start *work* unless it is running."""
        if self._greenlet is None:
            self._greenlet = self._spawn(self._run)

    def join(self, timeout: float | None = None) -> None:
        """Wait until *work* is done, for at most *timeout* seconds."""
        if self._greenlet is not None:
            self._greenlet.join(timeout)

    def _run(self) -> None:
        self._work()
        self._greenlet = None
