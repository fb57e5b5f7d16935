"""What a client asks for in the query of its URL."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from dockerexec_ws.engine.instance import MARKER_VARIABLE
from dockerexec_ws.errors import RequestRefusedError

LARGEST_SIZE = 65535
"""Rows or columns. Message 50 has 16 bits for each."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class ExecRequest:
    """A command and how to run it. The container decides what is empty or None.

    *environment* has ``NAME=VALUE`` strings; *size* is rows and columns.
    """

    argv: tuple[str, ...] = ()
    tty: bool = False
    user: str = ""
    workdir: str = ""
    environment: tuple[str, ...] = ()
    privileged: bool = False
    size: tuple[int, int] | None = None


def parse_request(query: str) -> ExecRequest:
    """Return what *query*, the environ's QUERY_STRING, asks for. Unknown parameters are ignored.

    If a parameter is repeated, the last one counts; for ``command`` and ``env`` all count. Raises RequestRefusedError,
    which names the parameter.
    """
    try:
        fields = parse_qsl(query.encode("latin-1").decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise RequestRefusedError("the query parameters are not UTF-8") from error
    last = dict(fields)
    request = ExecRequest(
        argv=tuple(value for key, value in fields if key == "command"),
        tty=_truth(last, "tty"),
        user=last.get("user", ""),
        workdir=last.get("workdir", ""),
        environment=tuple(value for key, value in fields if key == "env"),
        privileged=_truth(last, "privileged"),
        size=_size(last),
    )
    # The engine passes these on as C strings.
    for name, values in (("command", request.argv), ("user", [request.user]), ("workdir", [request.workdir])):
        if any("\0" in value for value in values):
            raise RequestRefusedError(f"{name}: it cannot contain NUL characters")
    for variable in request.environment:
        name, equals, _ = variable.partition("=")
        # A shell's names only. Some programs would read a name with a newline as two variables.
        if not _NAME.fullmatch(name):
            raise RequestRefusedError("env: a name has letters, digits and underscores, and begins with no digit")
        if not equals or "\0" in variable:
            raise RequestRefusedError("env: give NAME=VALUE, without NUL characters")
        if name == MARKER_VARIABLE:  # finds the session's processes when it ends
            raise RequestRefusedError("env: not allowed")
    return request


def _truth(fields: dict[str, str], name: str) -> bool:
    return fields.get(name, "").lower() == "true"


def _size(fields: dict[str, str]) -> tuple[int, int] | None:
    rows, columns = (_count(fields, name) for name in ("rows", "columns"))
    if rows is None and columns is None:
        return None
    if rows is None or columns is None:
        raise RequestRefusedError(
            f"{'rows' if rows is None else 'columns'}: it is missing, because rows and columns come together"
        )
    return rows, columns


def _count(fields: dict[str, str], name: str) -> int | None:
    text = fields.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= LARGEST_SIZE):
        raise RequestRefusedError(f"{name}: give a number from 1 to {LARGEST_SIZE}")
    return int(text)
