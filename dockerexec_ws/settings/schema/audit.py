"""The table ``audit``: where the audit log is kept."""

# ruff: noqa: RUF009  # option() is a dataclass's field()

from dataclasses import dataclass
from pathlib import Path

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.kinds import Flag, TextPath
from dockerexec_ws.settings.option import Record, option


@dataclass(frozen=True, kw_only=True)
class AuditSettings(Record):
    """Where the audit log is kept."""

    table = "audit"

    audit_log: Path | str | None = option(
        None,
        TextPath(),
        "File to which the server writes a line of JSON for each start, refusal and end of a session; -: stderr.",
        metavar="FILE",
    )
    audit_optional: bool = option(False, Flag(), "Start sessions even if the audit log cannot be written.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.audit_optional and not self.audit_log:
            raise SettingsError("audit_optional needs an audit_log. Give one, or leave audit_optional out.")
