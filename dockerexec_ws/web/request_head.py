"""The head of an HTTP request: how large it may be, and the forms of its target (RFC 9112 section 3.2)."""

import http
import re
from typing import Protocol

LARGEST_FIELDS = 64 * 1024
"""Bytes of all header fields together."""

FIELDS_TOO_LARGE = (
    f"The request has more than 100 header fields, or more than {LARGEST_FIELDS // 1024} KiB of them. Send fewer."
)

_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class HeadRefusedError(Exception):
    """The head of a request is not taken. *status* and *text* are the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = f"{status} {http.HTTPStatus(status).phrase}"
        self.text = text

    def response(self) -> bytes:
        """Return the whole HTTP response."""
        body = f"{self.text}\n".encode()
        head = (
            f"HTTP/1.1 {self.status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode() + body


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
        """Return the next line. Raises HeadRefusedError: 431."""
        line = self._source.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise HeadRefusedError(431, FIELDS_TOO_LARGE)
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
