"""The audit log by itself."""

import json
from datetime import UTC, datetime

import pytest

from dockerexec_ws.errors import AuditError, SettingsError
from dockerexec_ws.observe.audit import AuditLog


def test_a_line_is_a_json_object(tmp_path):
    log = AuditLog(tmp_path / "log")
    log.write("start", argv=("a\n", "é"), tty=False)
    log.write("end", exit_code=None)
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (first["event"], first["argv"], first["tty"]) == ("start", ["a\n", "é"], False)
    assert second["exit_code"] is None
    age = datetime.now(UTC) - datetime.fromisoformat(first["time"])
    assert 0 <= age.total_seconds() < 5
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    AuditLog(tmp_path / "log").write("start")
    assert len((tmp_path / "log").read_text().splitlines()) == 3  # appended


def test_stderr(capfd):
    AuditLog("-").write("start", session="x")
    assert json.loads(capfd.readouterr().err)["session"] == "x"


def test_none():
    log = AuditLog(None)
    log.write("start")
    assert not log


def test_what_cannot_be_written(caplog):
    with pytest.raises(AuditError):
        AuditLog("/dev/full").write("start")
    AuditLog("/dev/full", optional=True).write("start")
    assert "No space left on device" in caplog.text


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(SettingsError, match="audit log"):
        AuditLog(tmp_path / "nosuch" / "log")
