"""Limits how often something happens for each address or identity, in bounded memory."""

import time
from collections import OrderedDict, deque

MOST_KEYS = 10_000
"""Above this number, the key whose last event is oldest is forgotten, so that many keys cannot use up the memory."""


class Rate:
    """At most *count* events in each *window* of seconds, for each key; a *count* of 0 is no limit."""

    def __init__(self, count: int, window: float = 60.0) -> None:
        self._count = count
        self._window = window
        self._events: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Return the seconds until *key* may have its next event: 0 if it may now."""
        events = self._events.get(key)
        if events is None or len(events) < self._count:
            return 0.0
        return max(events[0] + self._window - time.monotonic(), 0.0)

    def note(self, key: str) -> None:
        """Count an event of *key*."""
        if not self._count:
            return
        events = self._events.setdefault(key, deque(maxlen=self._count))
        events.append(time.monotonic())
        self._events.move_to_end(key)
        if len(self._events) > MOST_KEYS:
            self._events.popitem(last=False)

    def forget(self, key: str) -> None:
        """Take back the last event of *key*, which did not happen after all."""
        if events := self._events.get(key):
            events.pop()
