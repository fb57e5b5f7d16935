"""A run's stream is closed as soon as the killer has reported, and no earlier."""

import gevent
import pytest
from gevent.event import AsyncResult

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.exit_watch import ExitWatch
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.timeouts import Waits
from dockerexec_ws.engine.run import Run
from dockerexec_ws.errors import EngineUnavailableError
from tests.standin import StandInEngine, frame


class FakeKiller:
    """Reports what the test sets."""

    def __init__(self):
        self.asked = []
        self.report = AsyncResult()

    def end(self, container, marker, process):
        self.asked.append((container, marker, process))
        return self.report.get()


@pytest.fixture
def killer():
    return FakeKiller()


@pytest.fixture
def exit_watch():
    watch = ExitWatch(lambda: iter([]))
    yield watch
    watch.close()


@pytest.fixture
def run(tmp_path, killer, exit_watch):
    """A run whose exec has written one byte."""
    with StandInEngine(tmp_path / "s", stream=frame(1, b"x")) as standin:
        run = Run(Engine(standin.address, timeout=30), killer, exit_watch, "c", ["x"], tty=False, marker="A=b")
        run.exec.start()
        yield run
        run.exec.close()


def closed(process):
    try:
        process.write([b"x"], wait=False)
    except EngineUnavailableError:
        return True
    return False


@pytest.mark.parametrize("nothing_left", [True, False])
def test_the_stream_stays_open_until_the_killer_has_reported(run, killer, nothing_left):
    terminating = gevent.spawn(run.terminate)
    gevent.sleep(0.05)
    assert killer.asked == [("c", "A=b", run.exec)]
    assert not terminating.ready()
    assert not closed(run.exec)
    killer.report.set(nothing_left)
    assert terminating.get(timeout=10) is nothing_left
    assert closed(run.exec)


def test_the_stream_is_closed_when_the_killer_fails(run, killer):
    killer.report.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run.terminate()
    assert closed(run.exec)


def test_a_run_that_was_never_started_can_be_terminated(docker_host, container, exit_watch):
    engine = Engine(docker_host, timeout=30)
    marker = Instance.unregistered().new_marker()
    killer = Killer(engine, Waits(grace=0.5))
    run = Run(engine, killer, exit_watch, container, ["sleep", "1000"], tty=False, marker=marker)
    assert run.terminate()
