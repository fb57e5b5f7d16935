import gevent
import pytest
from gevent.event import Event

from dockerexec_ws.session.on_demand_greenlet import OnDemand


def test_work_is_done_when_it_is_woken_and_never_twice_at_the_same_time():
    begun, go_on = [], Event()

    def work():
        begun.append(1)
        go_on.wait()

    worker = OnDemand(gevent.spawn, work)
    assert worker.idle
    worker.wake()
    worker.wake()
    gevent.idle()
    assert begun == [1]
    assert not worker.idle
    go_on.set()
    worker.join()
    assert worker.idle
    worker.wake()
    worker.join()
    assert begun == [1, 1]


def test_join_without_work_returns_at_once():
    OnDemand(gevent.spawn, lambda: None).join()


def test_join_waits_for_some_time_at_most():
    go_on = Event()
    worker = OnDemand(gevent.spawn, go_on.wait)
    worker.wake()
    worker.join(0.01)
    assert not worker.idle
    go_on.set()
    worker.join()


def test_work_that_failed_never_runs_again():
    def guarded(function):
        def guard():
            with pytest.raises(ZeroDivisionError):
                function()

        return gevent.spawn(guard)

    runs = []

    def work():
        runs.append(1 / len(runs))

    worker = OnDemand(guarded, work)
    worker.wake()
    worker.join()
    worker.wake()
    worker.join()
    assert runs == []
    assert not worker.idle
