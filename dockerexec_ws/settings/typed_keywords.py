"""Types for the functions that take the options as keywords. The fields of a record are their only declaration."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
F = TypeVar("F")
R = TypeVar("R")


def takes(record: Callable[P, object]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Give a function the arguments of *record*, for type checkers and editors; it is not changed otherwise."""
    del record
    return lambda function: function


def takes_more(
    record: Callable[P, object],
) -> Callable[[Callable[Concatenate[F, ...], R]], Callable[Concatenate[F, P], R]]:
    """Give a function the arguments of *record* after its first one, as ``takes`` does."""
    del record
    return lambda function: function
