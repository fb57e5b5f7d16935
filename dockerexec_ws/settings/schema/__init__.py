"""Every option, declared once. Its flag, variable, key in the policy file, check and manual entry come from here.

Each module has one table of the policy file, and each record a table or a part of one. Times are in seconds, sizes in
bytes.
"""

from dockerexec_ws.settings.option import Option, Record, options_of
from dockerexec_ws.settings.schema.access import AccessSettings
from dockerexec_ws.settings.schema.audit import AuditSettings
from dockerexec_ws.settings.schema.containers import ContainerSettings, OneContainerSettings
from dockerexec_ws.settings.schema.engine import EngineSettings
from dockerexec_ws.settings.schema.requests import RequestSettings
from dockerexec_ws.settings.schema.server import ListenSettings, LogSettings, UrlSettings
from dockerexec_ws.settings.schema.sessions import SessionSettings

__all__ = [
    "OPTIONS",
    "RECORDS",
    "TABLES",
    "AccessSettings",
    "AuditSettings",
    "ContainerSettings",
    "EngineSettings",
    "ListenSettings",
    "LogSettings",
    "OneContainerSettings",
    "RequestSettings",
    "SessionSettings",
    "UrlSettings",
]

RECORDS: tuple[type[Record], ...] = (
    ListenSettings,
    UrlSettings,
    LogSettings,
    EngineSettings,
    OneContainerSettings,
    ContainerSettings,
    SessionSettings,
    AccessSettings,
    RequestSettings,
    AuditSettings,
)

OPTIONS: tuple[Option, ...] = tuple(option for record in RECORDS for option in options_of(record))
"""All options, in the order of the manual."""

TABLES: dict[str, tuple[str, ...]] = {
    table: tuple(option.name for option in OPTIONS if option.table == table)
    for table in dict.fromkeys(record.table for record in RECORDS)
}
"""The options of each table, by their names in Python."""
