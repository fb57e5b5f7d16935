"""The settings of an application, from the command line, the environment or a program."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.option import Record
from dockerexec_ws.settings.schema import (
    AccessSettings,
    AuditSettings,
    ContainerSettings,
    EngineSettings,
    ListenSettings,
    RequestSettings,
    SessionSettings,
    UrlSettings,
)

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, kw_only=True)
class Settings(
    UrlSettings, EngineSettings, ContainerSettings, SessionSettings, AccessSettings, RequestSettings, AuditSettings
):
    """All options of an application; each record in ``schema`` describes its part. Raises SettingsError.

    A consumer that needs only some of them takes the record that has them.
    """

    @classmethod
    def of(cls, container: str | None, options: Mapping[str, Any]) -> Self:
        """Make them of the arguments of ``create_app``. Raises SettingsError, also if a name is unknown."""
        if "container" in options:
            raise SettingsError("container is not a keyword here. Give the container as the first argument.")
        _check_names(options, _names(cls))
        return cls(container=container, **options)


def take(record: type[R], options: dict[str, Any]) -> R:
    """Make *record* of those of *options* that it declares, and remove them there. Raises SettingsError."""
    return record(**{name: options.pop(name) for name in _names(record) if name in options})


def _names(record: type[Record]) -> list[str]:
    return [field.name for field in fields(record)]


def _check_names(given: Iterable[str], known: Iterable[str]) -> None:
    known = set(known) - {"container"}
    of_the_server = {*_names(ListenSettings), "listener"}
    for name in given:
        if name in known:
            continue
        if name in of_the_server:
            raise SettingsError(
                f"{name} is an option of DockerExecServer only, because an application does not listen by itself. Set "
                "it at the server that runs the application."
            )
        close = difflib.get_close_matches(name, sorted(known | of_the_server), 1)
        hint = f"Did you mean {close[0]}?" if close else "dockerexec_ws.settings.schema lists them."
        raise SettingsError(f"{name} is not an option. {hint}")
