"""Patterns of a shell (``*``, ``?``, ``[...]``) for what a client asks for; one function for each kind of value.

A value is first put into the one form that the kernel and the engine make of it. Otherwise a client could write an
allowed prefix and then leave it again. A ``*`` also matches a slash. Upper and lower case are different.
"""

import posixpath
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

ANYTHING = "*"

_NUMBER = re.compile(r"[+-]?0*([0-9]{1,19})")


def is_literal(pattern: str) -> bool:
    """Whether a pattern is for itself alone."""
    return not any(character in pattern for character in "*?[")


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Whether one of *patterns* is for *value*, a name that has no parts."""
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def plain_path(path: str) -> str:
    """Return *path* without ``.``, ``..``, ``//`` and a trailing slash. Symbolic links are not looked through.

    A name without a slash stays as it is: a shell looks it up in PATH. A relative path never becomes such a name.
    """
    if "/" not in path:
        return path
    plain = posixpath.normpath(path)
    if plain.startswith("/"):
        return "/" + plain.lstrip("/")  # POSIX lets two leading slashes stand
    return plain if "/" in plain else f"./{plain}"


def allowed_path(path: str, patterns: Iterable[str]) -> str | None:
    """Return the path that *path* may be used as, None if no pattern is for it.

    That is the plain path, because it is what was compared. If ``*`` is among the patterns, *path* stays as it is.
    """
    patterns = tuple(map(plain_path, patterns))
    if ANYTHING in patterns:
        return path
    plain = plain_path(path)
    return plain if matches(plain, patterns) else None


def matches_user(value: str, patterns: Iterable[str]) -> bool:
    """Whether one of *patterns* is for *value*: ``USER`` or ``USER:GROUP``, names or numbers.

    User and group are compared apart. A pattern without a colon is for the user with its own groups only, and one with
    a colon for an explicit group only. ``+0``, ``00`` and ``0`` are the same number for the engine, and so for
    patterns. ``root`` is another word: only the container knows its number.
    """
    user, *group = map(_plain_number, value.split(":"))
    if len(group) > 1:  # the engine would ignore the rest
        return False
    words = [user, *group]
    for pattern in patterns:
        wanted = pattern.split(":", 1)
        if len(wanted) == len(words) and all(map(fnmatchcase, words, wanted)):
            return True
    return False


def _plain_number(word: str) -> str:
    number = _NUMBER.fullmatch(word)
    if number is None:
        return word
    digits = number[1].lstrip("0") or "0"
    return f"-{digits}" if word.startswith("-") and digits != "0" else digits
