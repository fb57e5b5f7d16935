from dockerexec_ws.access import rate as rate_module
from dockerexec_ws.access.rate import Rate


def test_so_many_in_a_window(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(rate_module.time, "monotonic", lambda: now[0])
    rate = Rate(2, 60.0)
    for _ in range(2):
        assert rate.wait("a") == 0
        rate.note("a")
        now[0] += 10
    assert rate.wait("a") == 40
    assert rate.wait("b") == 0
    now[0] += 40
    assert rate.wait("a") == 0
    rate.note("a")
    assert rate.wait("a") == 10


def test_no_limit():
    rate = Rate(0)
    for _ in range(10):
        rate.note("a")
    assert rate.wait("a") == 0


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(rate_module, "MOST_KEYS", 100)
    rate = Rate(1)
    for number in range(1000):
        rate.note(str(number))
    assert len(rate._events) == 100
    assert rate.wait("999")
