"""Observers hear of sessions, and may veto their start."""

import pytest

from dockerexec_ws.errors import AuditError, QuotaError
from dockerexec_ws.session.ending import Cause, SessionEnd
from dockerexec_ws.session.observers import Observers, Refusal
from dockerexec_ws.session.registry import Registry
from dockerexec_ws.settings.settings import Settings
from tests.session.fakes import FakeSession

END = SessionEnd(cause=Cause.PEER_GONE)
REFUSAL = Refusal(reason="no", address="192.0.2.1", origin=None)


class Recorder:
    """Records each event in *heard*, then raises *error* if there is one."""

    def __init__(self, heard, name, error=None):
        self._heard = heard
        self._name = name
        self._error = error

    def _hear(self, *what):
        self._heard.append((self._name, *what))
        if self._error is not None:
            raise self._error

    def started(self, session):
        self._hear("started", session)

    def ended(self, session, end, duration):
        self._hear("ended", session, end, duration)

    def refused(self, refusal):
        self._hear("refused", refusal)


def test_every_observer_hears_in_order():
    heard = []
    observers = Observers(Recorder(heard, "first"), Recorder(heard, "second"))
    session = FakeSession()
    observers.started(session)
    observers.refused(REFUSAL)
    observers.ended(session, END, 1.5)
    assert heard == [
        ("first", "started", session),
        ("second", "started", session),
        ("first", "refused", REFUSAL),
        ("second", "refused", REFUSAL),
        ("first", "ended", session, END, 1.5),
        ("second", "ended", session, END, 1.5),
    ]


def test_the_first_observer_may_veto_a_start():
    heard = []
    observers = Observers(Recorder(heard, "first", AuditError()), Recorder(heard, "second"))
    with pytest.raises(AuditError):
        observers.started(FakeSession())
    assert [name for name, *_ in heard] == ["first"]


def test_an_observer_that_fails_harms_nothing(caplog):
    heard = []
    failing = Recorder(heard, "failing", RuntimeError("a fault"))
    observers = Observers(Recorder(heard, "first"), failing, Recorder(heard, "last"))
    observers.started(FakeSession())
    observers.refused(REFUSAL)
    observers.ended(FakeSession(), END, 0.0)
    assert [name for name, *_ in heard] == ["first", "failing", "last"] * 3
    assert caplog.text.count("Recorder failed") == 3
    Observers(failing).ended(FakeSession(), END, 0.0)
    Observers(failing).refused(REFUSAL)


# The registry


def registry_of(observer, **options):
    return Registry(Settings.of("c", options), Observers(observer))


def test_a_vetoed_session_does_not_count():
    registry = registry_of(Recorder([], "audit log", AuditError()), max_starts_per_minute=1)
    session = FakeSession()
    with pytest.raises(AuditError):
        registry.add(session)
    assert registry.running == []
    registry.check_quotas(session.client)


def test_each_start_has_an_end():
    heard = []
    registry = registry_of(Recorder(heard, "audit log"))
    session, faulty = FakeSession(end=END), FakeSession()
    for each in (session, faulty):
        registry.add(each)
    assert registry.running == [session, faulty]
    registry.remove(session)
    registry.remove(faulty)  # its `run` raised before it had set an end
    assert registry.running == []
    (_, _, ended, end, duration), (_, _, _, faulty_end, _) = heard[2:]
    assert (ended, end) == (session, END)
    assert 0 <= duration < 10
    assert (faulty_end.description, faulty_end.processes_left) == ("internal error", True)


def test_quotas_count_the_sessions_that_run():
    registry = registry_of(Recorder([], "audit log"), max_sessions_per_identity=1)
    session = FakeSession(end=END, identity="alice")
    registry.add(session)
    with pytest.raises(QuotaError, match="identity"):
        registry.check_quotas(session.client)
    registry.check_quotas(FakeSession(identity="bob").client)
    registry.remove(session)
    registry.check_quotas(session.client)


def test_a_check_of_quotas_looks_at_no_other_session():
    """With thousands of sessions each start would be slower than the one before."""
    looked_at = []

    class Session(FakeSession):
        def __getattribute__(self, name):
            looked_at.append(name)
            return super().__getattribute__(name)

    registry = registry_of(Recorder([], "audit log"), max_sessions_per_identity=3, max_sessions_per_address=3)
    sessions = [Session(end=END, identity="alice") for _ in range(3)]
    for session in sessions:
        registry.add(session)
    client = sessions[0].client
    looked_at.clear()
    with pytest.raises(QuotaError, match="identity"):
        registry.check_quotas(client)
    assert looked_at == []
    registry.remove(sessions[0])
    registry.check_quotas(client)
