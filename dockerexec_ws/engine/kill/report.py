"""A parser of what kill.sh prints on stdout."""

import re

_USERS = re.compile(rb"users((?: \d+:\d+)+)")
_SEEN = re.compile(rb"seen(?: (.*))?")
_LEFT = re.compile(rb"left (\d{1,7})")


class Report:
    """What the script has reported so far. Only complete lines count, and only those of a report."""

    def __init__(self) -> None:
        self.users: tuple[str, ...] = ()
        """``UID:GID`` of the script's user, then of each user with processes that the script may not look into."""
        self.seen: frozenset[str] = frozenset()
        """Which of the variables any process had. Reported right before ``left``."""
        self.left: int | None = None
        """How many processes are left; None until the script has reported all."""
        self._line = b""  # the beginning of a line

    def feed(self, data: bytes) -> None:
        """Take the next piece of stdout. What follows the report is ignored."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if self.left is None:
                self._take(line)

    def _take(self, line: bytes) -> None:
        if match := _USERS.fullmatch(line):
            self.users = tuple(match[1].decode().split())
        elif match := _SEEN.fullmatch(line):
            self.seen = frozenset((match[1] or b"").decode(errors="replace").split())
        elif match := _LEFT.fullmatch(line):
            self.left = int(match[1])
