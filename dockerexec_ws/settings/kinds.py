"""The kinds of values that options take. A kind checks a value and says in words what it accepts."""

# ruff: noqa: D102  # the methods of a kind are described once, in Kind

import math
import os
import re
import reprlib
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any


class Kind:
    """What an option accepts."""

    name = "value"
    """What the manual calls the kind."""

    wanted = "a value"
    """What it accepts, as the object of "Give"."""

    def accepts(self, value: Any) -> bool:
        """Whether *value*, as a program gives it, is of this kind."""
        raise NotImplementedError

    def from_text(self, value: Any) -> Any:
        """Return what *value* means in the policy file or on the command line. Raises ValueError."""
        return value

    def problem(self, value: Any) -> str | None:
        """Return why *value* is not accepted and what to give instead, or None."""
        if self.accepts(value):
            return None
        shown = reprlib.repr(value)
        if isinstance(value, str):
            return f"the string {shown} is not allowed here. Give {self.wanted}."
        return f"{shown} is not allowed here. Give {self.wanted}."


class Flag(Kind):
    """True or false."""

    name = "boolean"
    wanted = "true or false"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number of at least *least* and at most *most*."""

    least: int = 0
    most: int | None = None
    name = "integer"

    @property
    def wanted(self) -> str:  # type: ignore[override]
        if self.most is None:
            return f"a whole number of at least {self.least}"
        return f"a whole number from {self.least} to {self.most}"

    def accepts(self, value: Any) -> bool:
        # True and False are ints in Python, but never meant as numbers.
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.least <= value and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Seconds(Kind):
    """A finite number of seconds: at least 0, or more than 0 if *positive*."""

    positive: bool = False
    name = "seconds"

    @property
    def wanted(self) -> str:  # type: ignore[override]
        return f"a finite number of seconds, {'more than' if self.positive else 'at least'} 0"

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return (value > 0 if self.positive else value >= 0) and value < math.inf  # NaN is neither


class Text(Kind):
    """A string."""

    name = "string"
    wanted = "a string without NUL characters"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and "\0" not in value


class Variable(Text):
    """An environment variable with its value."""

    name = "variable"
    wanted = "NAME=VALUE, where the name has letters, digits and underscores and begins with no digit"

    def accepts(self, value: Any) -> bool:
        return super().accepts(value) and re.match(r"[A-Za-z_][A-Za-z0-9_]*=", value) is not None


class File(Kind):
    """The path of a file."""

    name = "file"
    wanted = "a path without NUL characters"

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, str | os.PathLike):
            return False
        path = os.fspath(value)
        return isinstance(path, str) and "\0" not in path


class Folder(File):
    """The path of a directory."""

    name = "directory"


class TextPath(File):
    """A path that is not converted, because it may not be a file's: "-" is stderr."""

    name = "path"


@dataclass(frozen=True)
class OneOf(Kind):
    """One of some words."""

    words: tuple[str, ...]
    any_case: bool = False

    @property
    def name(self) -> str:  # type: ignore[override]
        return " | ".join(self.words)

    @property
    def wanted(self) -> str:  # type: ignore[override]
        return f"one of {', '.join(self.words)}"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and (value.lower() if self.any_case else value) in self.words


class Words(Kind):
    """The words of a command, in a sequence. Text is split into words as a shell does."""

    name = "words"
    wanted = "a sequence of words (strings without NUL characters)"

    def accepts(self, value: Any) -> bool:
        return _is_collection(value) and all(map(Text().accepts, value))

    def from_text(self, value: Any) -> Any:
        if not isinstance(value, str):
            return tuple(value) if isinstance(value, list) else value
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            raise ValueError(f"{value!r} cannot be split into words: {error}. Check its quotes.") from error


class Command(Words):
    """A pattern for a first word (a string), or all words of a command (a sequence)."""

    name = "command"
    wanted = "a command of one or more words"

    def accepts(self, value: Any) -> bool:
        return bool(value) and (Text().accepts(value) or super().accepts(value))

    def from_text(self, value: Any) -> Any:
        words = super().from_text(value)
        return words[0] if isinstance(value, str) and len(words) == 1 else words


@dataclass(frozen=True)
class Many(Kind):
    """Any number of values of one kind."""

    item: Kind

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"list of {self.item.name}s"

    @property
    def wanted(self) -> str:  # type: ignore[override]
        return "a list, each item of which is " + self.item.wanted

    def accepts(self, value: Any) -> bool:
        return _is_collection(value) and all(map(self.item.accepts, value))

    def from_text(self, value: Any) -> Any:
        return tuple(map(self.item.from_text, value)) if isinstance(value, list) else value


def _is_collection(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes)
