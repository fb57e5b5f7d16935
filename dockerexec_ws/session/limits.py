"""The limits of a session: idle time, total time, bytes of output."""

import math
import time
from collections.abc import Sequence

from dockerexec_ws.errors import LimitExceededError
from dockerexec_ws.settings.schema import SessionSettings


class Limits:
    """The limits of one session, which begins now. A limit of 0 means that there is none.

    *deadline*, in seconds since 1970, comes in addition to the limits of *settings*.
    """

    def __init__(self, settings: SessionSettings, deadline: float | None = None) -> None:
        self._idle_timeout = settings.idle_timeout
        self._max_duration = settings.max_duration
        self._max_output = settings.max_output
        self.output = 0
        """Bytes of output that were within the limit."""
        self._began = self._active = time.monotonic()
        self._deadline = None if deadline is None else self._began + deadline - time.time()

    @property
    def timed(self) -> bool:
        """Whether time is limited."""
        return bool(self._idle_timeout or self._max_duration or self._deadline is not None)

    def active(self) -> None:
        """Note that bytes or messages were moved. The idle time begins anew."""
        self._active = time.monotonic()

    @property
    def interval(self) -> float:
        """Seconds between two checks whether the client takes the output."""
        return self._idle_timeout / 4 or math.inf

    def left(self) -> tuple[float, str]:
        """Return the seconds until a time limit is reached if nothing is moved, and the text for the client then."""
        now = time.monotonic()
        both = []
        if self._idle_timeout:
            both.append((self._active + self._idle_timeout - now, f"nothing moved for {self._idle_timeout:g} s"))
        if self._max_duration:
            both.append((self._began + self._max_duration - now, f"it lasted {self._max_duration:g} s"))
        if self._deadline is not None:
            both.append((self._deadline - now, "its deadline has passed"))
        left, text = min(both)
        return left, f"session limit: {text}"

    def cut(self, parts: Sequence[memoryview]) -> Sequence[memoryview]:
        """Count output. Return *parts* itself if all of it is within the limit, else the bytes that are."""
        left = self._max_output - self.output
        self.output += sum(map(len, parts))
        if not self._max_output or self.output <= self._max_output:
            return parts
        self.output = self._max_output
        kept = []
        for part in parts:
            kept.append(part[:left])
            left -= len(kept[-1])
        return kept

    def output_exceeded(self) -> LimitExceededError:
        """Return the error that ends a session whose process has written too much."""
        return LimitExceededError(f"session limit: {self._max_output} bytes of output")
