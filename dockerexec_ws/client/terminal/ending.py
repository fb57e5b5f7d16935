"""How the command line ends."""

from dataclasses import dataclass

OWN_FAILURE = 125
"""The exit status of everything that is not the command's, as of ``docker exec``."""


@dataclass(frozen=True)
class Ending:
    """An exit status, after a line of text if there is one; or the number of the signal that ends this program."""

    status: int
    text: str = ""
    signal: int = 0
