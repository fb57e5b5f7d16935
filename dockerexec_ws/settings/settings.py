"""The settings of an application or a server, from the command line, the environment or a program."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.kinds import Text
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


@dataclass(frozen=True, kw_only=True)
class Settings(
    UrlSettings, EngineSettings, ContainerSettings, SessionSettings, AccessSettings, RequestSettings, AuditSettings
):
    """All settings of an application; each record in ``schema`` describes its part. Raises SettingsError.

    A consumer that needs only some of them takes the record that has them.
    """

    container_id: str | None = field(default=None, kw_only=False)
    """The name or id of the container for all sessions; None if clients choose one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.container_id is not None and (problem := Text().problem(self.container_id)):
            raise SettingsError(f"container_id: {problem}")

    @classmethod
    def of(cls, container_id: str | None, options: Mapping[str, Any]) -> Self:
        """Make them of the arguments of ``create_app``. Raises SettingsError, also if a name is unknown."""
        _check_names(options, names_of(cls))
        return cls(container_id, **options)


@dataclass(frozen=True, kw_only=True)
class ServerSettings(ListenSettings, Settings):
    """All settings of a server by itself."""


def names_of(record: type[Record]) -> list[str]:
    """Return the names in Python of what *record* has."""
    return [field.name for field in fields(record)]


def _check_names(given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name in known:
            continue
        if name == "container":
            raise SettingsError("container is not a keyword here. Give the container as the first argument.")
        if name in names_of(ListenSettings):
            raise SettingsError(
                f"{name} is an option of DockerExecServer only, because an application does not listen by itself. Set "
                "it at the server that runs the application."
            )
        close = difflib.get_close_matches(name, names_of(ServerSettings), 1)
        hint = f"Did you mean {close[0]}?" if close else "dockerexec_ws.settings.schema lists them."
        raise SettingsError(f"{name} is not an option. {hint}")
