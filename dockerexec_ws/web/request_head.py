"""The head of an HTTP request: how large it may be, and the forms of its target (RFC 9112 section 3.2)."""

import re
from typing import Protocol

from dockerexec_ws.access.refusal import RefusedError

LARGEST_FIELDS = 64 * 1024
"""Bytes of all header fields together."""

FIELDS_TOO_LARGE = (
    f"The request has more than 100 header fields, or more than {LARGEST_FIELDS // 1024} KiB of them. Send fewer."
)

_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class Lines(Protocol):
    """What lines are read from."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line with its end, at most *size* bytes of it."""


class BoundedLines:
    """The lines of *source*, of which the header fields may have LARGEST_FIELDS bytes in all."""

    def __init__(self, source: Lines) -> None:
        self._source = source
        self._left = LARGEST_FIELDS

    def readline(self, _: int = -1, /) -> bytes:
        """Return the next line. Raises RefusedError: 431."""
        line = self._source.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise RefusedError(431, FIELDS_TOO_LARGE)
        return line


def origin_form(target: str) -> tuple[str | None, str]:
    """Return the authority that *target* names, None if it names none, and the target in origin form.

    A proxy, and some libraries, send the absolute form (RFC 9112 section 3.2.2). Its authority replaces the Host field.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        return None, target
    authority, rest = absolute.groups()
    return authority, rest if rest.startswith("/") else f"/{rest}"
