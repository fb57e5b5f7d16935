"""How the command line ends."""

from dataclasses import dataclass

OWN_FAILURE = 125
"""The exit status of the client's own failures, as with ``docker exec``."""


@dataclass(frozen=True)
class Ending:
    """The exit status, and a line of text to print before; *signal* is the signal that ends this program, or 0."""

    status: int
    text: str = ""
    signal: int = 0
