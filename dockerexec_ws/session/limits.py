"""What a session may use up: idle time, total time, bytes of output."""

import math
import time
from collections.abc import Sequence

from dockerexec_ws.errors import LimitExceededError
from dockerexec_ws.settings.schema import SessionSettings


class Limits:
    """The limits of one session, counted from now on; a limit of 0 is none.

    *deadline*, in seconds since 1970, is in addition to those of the settings.
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
        """Note that something was moved."""
        self._active = time.monotonic()

    @property
    def interval(self) -> float:
        """Seconds between two looks at whether the peer takes what was written."""
        return self._idle_timeout / 4 or math.inf

    def left(self) -> tuple[float, str]:
        """Return the seconds until a limit of time is reached, if nothing is moved, and the text for the peer then."""
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
        """Count output; return *parts* themselves if they are within the limit, else what of them is."""
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
        """Return what ends a session whose process has written more than it may."""
        return LimitExceededError(f"session limit: {self._max_output} bytes of output")
