"""The sessions of one server: how many there may be, which ones run, and the callbacks that hear of them."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import gevent
from gevent.pool import Pool, PoolFull

from dockerexec_ws.access.admission import Client
from dockerexec_ws.access.rate import Rate
from dockerexec_ws.errors import QuotaError, SettingsError
from dockerexec_ws.session.session import Session
from dockerexec_ws.settings.settings import Settings

logger = logging.getLogger(__name__)

_EVENTS = ("session", "session added", "session removed")


class Registry:
    """Counts the sessions of one server and knows those that run."""

    def __init__(self, settings: Settings) -> None:
        self.running: list[Session] = []
        """The sessions that run now, oldest first."""
        self._limits = settings.max_sessions_per_identity, settings.max_sessions_per_address
        self._starts = Rate(settings.max_starts_per_minute)
        self._subscribers: dict[str, list[Callable[[Any], object]]] = {event: [] for event in _EVENTS}
        # Its members are the greenlets of the requests that became sessions.
        self._pool = Pool(settings.max_sessions)

    def subscribe(self, event: str, callback: Callable[[Any], object]) -> None:
        """Call *callback* at each *event*. Raises SettingsError if there is no such event."""
        if event not in self._subscribers:
            raise SettingsError(f"there is no event {event!r}, only {', '.join(_EVENTS)}")
        self._subscribers[event].append(callback)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for the session of the current greenlet. Raises QuotaError if all places are taken."""
        greenlet = cast("gevent.Greenlet[..., object]", gevent.getcurrent())
        try:
            self._pool.add(greenlet, blocking=False)
        except PoolFull:
            raise QuotaError("Too many sessions active!") from None
        try:
            yield
        finally:
            self._pool.discard(greenlet)

    def check_quotas(self, client: Client) -> None:
        """Raise QuotaError if the client's identity, or its address, may have no further session now."""
        for key, limit, what in zip(client.quota_keys, self._limits, ("identity", "address"), strict=True):
            running = sum(key in session.client.quota_keys for session in self.running)
            if key and limit and running >= limit:
                raise QuotaError(f"too many sessions of this {what} are active")
            if key and self._starts.wait(key):
                raise QuotaError(f"too many sessions of this {what} were started within a minute")

    def add(self, session: Session) -> None:
        """Count a session that is about to run, and tell the subscribers."""
        for key in session.client.quota_keys:
            self._starts.note(key)
        self.running.append(session)
        self._emit("session", session)
        self._emit("session added", len(self.running))

    def remove(self, session: Session) -> None:
        """Forget a session that is over, and tell the subscribers."""
        self.running.remove(session)
        self._emit("session removed", len(self.running))

    def join(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for all sessions to end; return whether they did."""
        return bool(self._pool.join(timeout=timeout))

    def kill(self) -> None:
        """Cut the sessions that still run."""
        self._pool.kill(timeout=1.0)

    def _emit(self, event: str, argument: object) -> None:
        for callback in self._subscribers[event]:
            try:
                callback(argument)
            except Exception:
                logger.exception("a callback for %r failed", event)
