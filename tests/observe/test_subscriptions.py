"""Events that programs subscribe to."""

import pytest

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.observe.subscriptions import Events
from dockerexec_ws.session.ending import Cause, SessionEnd
from dockerexec_ws.session.observers import Refusal
from tests.session.fakes import FakeSession

END = SessionEnd(cause=Cause.PEER_GONE)


def test_the_events_of_two_sessions():
    events, heard = Events(), []
    for event in ("session", "session added", "session removed"):
        events.subscribe(event, lambda argument, event=event: heard.append((event, argument)))
    first, second = FakeSession(), FakeSession()
    events.started(first)
    events.started(second)
    events.refused(Refusal(reason="no", address="192.0.2.1", origin=None))
    events.ended(first, END, 1.0)
    events.ended(second, END, 1.0)
    assert heard == [
        ("session", first),
        ("session added", 1),
        ("session", second),
        ("session added", 2),
        ("session removed", 1),
        ("session removed", 0),
    ]


def test_a_callback_that_fails_keeps_no_other_from_being_called(caplog):
    events, heard = Events(), []
    events.subscribe("session added", lambda _: 1 / 0)
    events.subscribe("session added", heard.append)
    events.started(FakeSession())
    assert heard == [1]
    assert "a callback for 'session added' failed" in caplog.text


def test_an_event_that_there_is_not():
    with pytest.raises(SettingsError, match="session ended"):
        Events().subscribe("session ended", print)
