"""The sessions of one server: how many there may be, and which ones run."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import cast

import gevent
from gevent.pool import Pool, PoolFull

from dockerexec_ws.access.admission import Client
from dockerexec_ws.access.rate import Rate
from dockerexec_ws.errors import QuotaError
from dockerexec_ws.session.ending import Cause, SessionEnd
from dockerexec_ws.session.observers import Observers
from dockerexec_ws.session.session import Session
from dockerexec_ws.settings.settings import Settings


class Registry:
    """Counts the sessions of one server, knows those that run, and tells *observers* of them."""

    def __init__(self, settings: Settings, observers: Observers) -> None:
        self._observers = observers
        self._running: dict[Session, float] = {}  # with the time at which each was added
        self._running_by_key: Counter[str] = Counter()  # without the keys of clients that have no session
        self._limits = settings.max_sessions_per_identity, settings.max_sessions_per_address
        self._starts = Rate(settings.max_starts_per_minute)
        # It holds the greenlets of the requests that became sessions.
        self._pool = Pool(settings.max_sessions)

    @property
    def running(self) -> list[Session]:
        """The sessions that run now, oldest first."""
        return list(self._running)

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
        """Raise QuotaError if the client's identity or address may not have another session now."""
        for key, limit, what in zip(client.quota_keys, self._limits, ("identity", "address"), strict=True):
            if key and limit and self._running_by_key[key] >= limit:
                raise QuotaError(f"too many sessions of this {what} are active")
            if key and self._starts.wait(key):
                raise QuotaError(f"too many sessions of this {what} were started within a minute")

    def add(self, session: Session) -> None:
        """Count a session that is about to run, and tell the observers. Raises AuditError: then it must not run.

        A session that was added has to be removed, whatever happens.
        """
        # Before an observer can wait, and let another session pass.
        self._running[session] = time.monotonic()
        self._running_by_key.update(session.client.quota_keys)
        for key in session.client.quota_keys:
            self._starts.note(key)
        try:
            self._observers.started(session)
        except BaseException:
            self._forget(session)
            for key in session.client.quota_keys:
                self._starts.forget(key)
            raise

    def remove(self, session: Session) -> None:
        """Forget a session that is over, and tell the observers how it ended."""
        duration = time.monotonic() - self._forget(session)
        end = session.end or SessionEnd(cause=Cause.FAILED, text="internal error", processes_left=True)
        self._observers.ended(session, end, duration)

    def _forget(self, session: Session) -> float:
        """Count a session no longer. Return when it was added."""
        added = self._running.pop(session)
        for key in session.client.quota_keys:
            self._running_by_key[key] -= 1
            if not self._running_by_key[key]:
                del self._running_by_key[key]
        return added

    def join(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for all sessions to end. Return whether they did."""
        return bool(self._pool.join(timeout=timeout))

    def kill(self) -> None:
        """Kill the greenlets of the sessions that still run."""
        self._pool.kill(timeout=1.0)
