"""The audit log by itself."""

import json
from datetime import UTC, datetime

import pytest

from dockerexec_ws.errors import AuditError, SettingsError
from dockerexec_ws.observe.audit import AuditLog
from dockerexec_ws.session.ending import Cause, SessionEnd
from dockerexec_ws.session.observers import Refusal
from tests.session.fakes import FakeSession


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


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
    assert len((tmp_path / "log").read_text().splitlines()) == 3  # the log was appended to


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


@pytest.mark.parametrize("processes_left", [True, False, None])
def test_the_end_says_whether_processes_are_left(tmp_path, processes_left):
    log = AuditLog(tmp_path / "log")
    log.started(FakeSession(identity="alice"))
    end = SessionEnd(cause=Cause.TIME_LIMIT, text="session limit: it lasted 1 s", processes_left=processes_left)
    log.ended(FakeSession(identity="alice"), end, 1.23456)
    start, ended = lines(tmp_path / "log")
    assert start.items() >= {"event": "start", "identity": "alice", "container": "c0ffee", "user": None}.items()
    assert start["session"] == ended["session"]
    assert (ended["event"], ended["ending"], ended["exit_code"]) == ("end", "session limit: it lasted 1 s", None)
    assert ended["processes_left"] is processes_left
    assert (ended["bytes_in"], ended["bytes_out"], ended["duration"]) == (2, 3, 1.235)


def refusal(address, *, stranger):
    return Refusal(reason="no", address=address, origin=None, stranger=stranger)


def test_strangers_cannot_fill_the_log(tmp_path):
    log = AuditLog(tmp_path / "log", strangers=3)
    for _ in range(5):
        log.refused(refusal("192.0.2.1", stranger=True))
        log.refused(refusal("192.0.2.2", stranger=True))
    assert len(lines(tmp_path / "log")) == 6
    for _ in range(5):
        log.refused(refusal("192.0.2.1", stranger=False))
    assert len(lines(tmp_path / "log")) == 11


def test_an_end_or_a_refusal_that_cannot_be_written_harms_nothing(caplog):
    log = AuditLog("/dev/full")
    with pytest.raises(AuditError):
        log.started(FakeSession())
    log.ended(FakeSession(), SessionEnd(cause=Cause.EXITED, exit_code=0), 1.0)
    log.refused(refusal("192.0.2.1", stranger=False))
    assert caplog.text.count("No space left on device") == 3
