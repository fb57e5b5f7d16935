"""The table ``requests``: what a client may ask for."""

from collections.abc import Sequence
from dataclasses import dataclass

from dockerexec_ws.settings.kinds import Command, Flag, Many, Text
from dockerexec_ws.settings.option import Record, option


@dataclass(frozen=True, kw_only=True)
class RequestSettings(Record):
    """What a client may ask for (patterns as in a shell)."""

    table = "requests"

    allow_command: Sequence[str | Sequence[str]] = option(
        ("*",),
        Many(Command()),
        "Command that clients may run. One word is a pattern for the first word; several are a whole command.",
        metavar="WORDS",
    )
    allow_tty: bool = option(True, Flag(), "Let clients ask for a terminal.")
    allow_user: Sequence[str] = option((), Many(Text()), "User as which clients may run commands.", metavar="PATTERN")
    allow_workdir: Sequence[str] = option(
        (), Many(Text()), "Working directory that clients may choose.", metavar="PATTERN"
    )
    allow_env: Sequence[str] = option((), Many(Text()), "Environment variable that clients may set.", metavar="PATTERN")
    allow_privileged: bool = option(False, Flag(), "Let clients run privileged commands.")
    read_only: bool = option(False, Flag(), "Refuse stdin, so that clients can only watch.")
