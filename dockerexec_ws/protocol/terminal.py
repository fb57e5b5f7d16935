"""What clients with a terminal ask for: a shell by default, and variables that say what the terminal is."""

import re
from collections.abc import Mapping

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""The command that runs if the user names none: bash, or sh if the container has no bash."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")


def terminal_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those variables of *environment*: TERM and COLORTERM, if their values are plain names.

    A server takes no other values without permission, because programs look them up in a database of files.
    """
    found = {name: environment.get(name, "") for name in ("TERM", "COLORTERM")}
    return {name: value for name, value in found.items() if _NAME.fullmatch(value)}
