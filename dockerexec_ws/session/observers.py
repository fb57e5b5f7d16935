"""Observers of a server's sessions: what each of them hears, and who hears it."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from dockerexec_ws.session.ending import SessionEnd
from dockerexec_ws.session.session import Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that became no session."""

    reason: str
    """What the client was told."""

    address: str
    """The client's address."""

    origin: str | None
    """The origin of the web page that the request came from."""

    identity: str | None = None
    """The name of the client's identity, if it is known."""

    stranger: bool = False
    """Whether the client was not admitted. Anybody can make any number of such requests."""


class Observer(Protocol):
    """Hears of the sessions of one server, in each session's greenlet."""

    def started(self, session: Session) -> None:
        """Take note that *session* is about to start."""

    def ended(self, session: Session, end: SessionEnd, duration: float) -> None:
        """Take note that *session* is over, *duration* seconds after its start. Each start has one end."""

    def refused(self, refusal: Refusal) -> None:
        """Take note that a client got no session."""


class Observers:
    """Tells the observers of a server, in their order.

    *first* may veto a start: what its ``started`` raises is raised here, and no other observer hears of that session.
    All other exceptions are logged, because an observer must not harm a session.
    """

    def __init__(self, first: Observer, *others: Observer) -> None:
        self._first = first
        self._others = others

    def started(self, session: Session) -> None:
        """Tell of a start. Raises AuditError: then the session must not start."""
        self._first.started(session)
        for observer in self._others:
            with _harmless(observer):
                observer.started(session)

    def ended(self, session: Session, end: SessionEnd, duration: float) -> None:
        """Tell of an end."""
        for observer in (self._first, *self._others):
            with _harmless(observer):
                observer.ended(session, end, duration)

    def refused(self, refusal: Refusal) -> None:
        """Tell of a refusal."""
        for observer in (self._first, *self._others):
            with _harmless(observer):
                observer.refused(refusal)


@contextlib.contextmanager
def _harmless(observer: Observer) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("%s failed", type(observer).__name__)
