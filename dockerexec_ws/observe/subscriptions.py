"""The events of a server, to which programs subscribe: the same as those of docker-exec-websocket-server."""

import logging
from collections.abc import Callable
from typing import Any

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.session.ending import SessionEnd
from dockerexec_ws.session.observers import Refusal
from dockerexec_ws.session.session import Session

logger = logging.getLogger(__name__)

_EVENTS = ("session", "session added", "session removed")


class Events:
    """Calls the subscribers of "session" with the Session, and those of the other two with the number of sessions."""

    def __init__(self) -> None:
        self._running = 0
        self._subscribers: dict[str, list[Callable[[Any], object]]] = {event: [] for event in _EVENTS}

    def subscribe(self, event: str, callback: Callable[[Any], object]) -> None:
        """Call *callback* at each *event*. Raises SettingsError if there is no such event."""
        if event not in self._subscribers:
            raise SettingsError(f"there is no event {event!r}, only {', '.join(_EVENTS)}")
        self._subscribers[event].append(callback)

    def started(self, session: Session) -> None:
        """See Observer."""
        self._running += 1
        self._emit("session", session)
        self._emit("session added", self._running)

    def ended(self, _session: Session, _end: SessionEnd, _duration: float) -> None:
        """See Observer."""
        self._running -= 1
        self._emit("session removed", self._running)

    def refused(self, _refusal: Refusal) -> None:
        """See Observer."""

    def _emit(self, event: str, argument: object) -> None:
        for callback in self._subscribers[event]:
            try:
                callback(argument)
            except Exception:
                logger.exception("a callback for %r failed", event)
