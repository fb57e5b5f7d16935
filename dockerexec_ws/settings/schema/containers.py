"""The table ``containers``: which containers clients reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from dockerexec_ws.settings.kinds import Flag, Many, Text
from dockerexec_ws.settings.option import Record, option


@dataclass(frozen=True, kw_only=True)
class OneContainerSettings(Record):
    """One container for all sessions. A program gives it as the first argument instead."""

    table = "containers"

    container: str | None = option(None, Text(), "Name or id of the container in which commands run.", metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class ContainerSettings(Record):
    """The containers among which clients choose (patterns as in a shell)."""

    table = "containers"

    allow_container: Sequence[str] = option(
        (),
        Many(Text()),
        "Names of the containers among which clients choose, instead of one container. A client names one in the URL, "
        "as PATH/CONTAINER.",
        metavar="PATTERN",
    )
    allow_container_label: Sequence[str] = option(
        (),
        Many(Text()),
        "Label of the containers among which clients choose, instead of one container.",
        metavar="KEY[=VALUE]",
    )
    allow_own_container: bool = option(False, Flag(), "Also allow the container in which the server itself runs.")
