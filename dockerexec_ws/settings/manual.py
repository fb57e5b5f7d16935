"""The options as rows of the manual's table."""

from collections.abc import Iterator
from typing import NamedTuple

from dockerexec_ws.settings.option import Option
from dockerexec_ws.settings.schema import OPTIONS


class Row(NamedTuple):
    """What the manual says about one option, in plain text."""

    section: str
    flag: str
    variable: str
    key: str
    type: str
    default: str
    help: str


def rows() -> Iterator[Row]:
    """Yield a row for each option, grouped by section, in the order of ``--help``."""
    for option in OPTIONS:
        yield Row(
            option.table, option.flags, option.variable, option.key, option.kind.name, default_text(option), option.help
        )


def default_text(option: Option) -> str:
    """Return the default as text; empty if there is none."""
    if option.default_text is not None:
        return option.default_text
    if option.default is None or option.default == ():
        return ""
    if isinstance(option.default, bool):
        return "true" if option.default else "false"
    if isinstance(option.default, tuple):
        return ", ".join(map(str, option.default))
    return str(option.default)
