"""The audit log: one JSON object a line for the start, the refusal and the end of a session."""

import contextlib
import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from dockerexec_ws.access.rate import Rate
from dockerexec_ws.errors import AuditError, SettingsError
from dockerexec_ws.session.ending import SessionEnd
from dockerexec_ws.session.observers import Refusal
from dockerexec_ws.session.session import Session

logger = logging.getLogger(__name__)

STRANGERS = 60
"""How many refusals of strangers are recorded per minute and address, so that nobody can fill the disk."""


class AuditLog:
    """Appends to the file *target*, or writes to stderr if *target* is "-"; None writes nowhere.

    A line holds no environment values, tokens or stdin. If *optional*, a session starts even if its line cannot be
    written. *strangers* is how many refusals of strangers are recorded per minute and address. Raises SettingsError if
    the file cannot be opened.
    """

    def __init__(self, target: Path | str | None, *, optional: bool = False, strangers: int = STRANGERS) -> None:
        self._optional = optional
        self._strangers = Rate(strangers)
        self._fd: int | None = None
        if target == "-":
            self._fd = sys.stderr.fileno()
        elif target:
            try:
                self._fd = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise SettingsError(
                    f"Cannot write the audit log {target}: {error.strerror}. "
                    "Name a file that this user can write to (audit_log)."
                ) from error

    def __bool__(self) -> bool:
        return self._fd is not None

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd is not None and self._fd != sys.stderr.fileno():
            os.close(self._fd)
        self._fd = None

    def started(self, session: Session) -> None:
        """Record that a session is about to start. Raises AuditError: then it must not start."""
        self.write("start", **_facts(session))

    def ended(self, session: Session, end: SessionEnd, duration: float) -> None:
        """Record the end of a session, *duration* seconds after its start."""
        with contextlib.suppress(AuditError):  # the session is over in any case
            self.write(
                "end",
                **_facts(session),
                exit_code=end.exit_code,
                ending=end.description,
                processes_left=end.processes_left,
                bytes_in=session.bytes_in,
                bytes_out=session.bytes_out,
                duration=round(duration, 3),
            )

    def refused(self, refusal: Refusal) -> None:
        """Record that a client was refused."""
        if refusal.stranger:
            if self._strangers.wait(refusal.address):
                return
            self._strangers.note(refusal.address)
        with contextlib.suppress(AuditError):  # the client is refused in any case
            self.write(
                "refusal",
                reason=refusal.reason,
                identity=refusal.identity,
                address=refusal.address,
                origin=refusal.origin,
            )

    def write(self, event: str, **fields: object) -> None:
        """Append a line with the time (UTC), *event* and *fields*. Raises AuditError."""
        if self._fd is None:
            return
        record = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event} | fields
        line = (json.dumps(record) + "\n").encode()
        try:
            if os.write(self._fd, line) != len(line):  # one write, so that the lines of several processes never mix
                raise OSError(0, "only a part of the line was written")
        except OSError as error:
            logger.error("cannot write the audit log: %s", error.strerror)
            if not self._optional:
                raise AuditError from error


def _facts(session: Session) -> dict[str, object]:
    return {
        "session": session.id,
        "identity": session.client.name,
        "address": session.client.address,
        "origin": session.client.origin,
        "container": session.target.id,
        "container_name": session.target.name,
        "argv": session.argv,
        "user": session.user,
        "tty": session.tty,
    }
