"""Execs whose stream stays open after the exit: the server learns of the exit from events, or asks for it."""

import itertools
import time

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

from dockerexec_ws import DockerExecServer
from dockerexec_ws.engine import exit_watch as exit_watch_module
from dockerexec_ws.engine.docker import Engine, ExecState
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.exec_events import ended_execs
from dockerexec_ws.engine.exit_watch import ExitWatch
from dockerexec_ws.errors import EngineUnavailableError, ExecNotFoundError
from tests.conftest import running_container, wait_until
from tests.peer import Peer
from tests.standin import StandInEngine, frame

ENDED = {"Running": False, "ExitCode": 5, "Pid": 1}
RUNNING = {"Running": True, "ExitCode": None, "Pid": 1}
DIED = {"Type": "container", "Action": "exec_die", "Actor": {"ID": "c0ffee", "Attributes": {"execID": "e0"}}}


@pytest.fixture
def hasty(monkeypatch):
    """Divide the watch's times by ten."""
    for name in ("GRACE", "ASK_INTERVAL", "_FIRST_PAUSE"):
        monkeypatch.setattr(exit_watch_module, name, getattr(exit_watch_module, name) / 10)
    monkeypatch.setattr(exit_watch_module, "MOST_QUESTIONS", 200)


@pytest.fixture
def watch():
    """A function that makes a watch with these events."""
    made = []

    def watch(ended_execs):
        made.append(ExitWatch(ended_execs))
        return made[-1]

    yield watch
    for each in made:
        each.close()


class FakeExec:
    """An exec whose output has been silent for *silence* seconds; it has ended if *ended*."""

    def __init__(self, name, *, silence=1000.0, ended=False):
        self.id = name
        self.silence = silence
        self.ended = ended
        self.closed_by_engine = False
        self.asked = 0
        self.output_ended = Event()

    def state(self):
        self.asked += 1
        return ExecState("c0ffee", running=not self.ended, exit_code=0 if self.ended else None, pid=1)

    def end_output(self):
        self.output_ended.set()


def none():
    """An engine without events."""
    raise EngineUnavailableError("no events here")


def test_the_times_leave_the_engine_its_own_and_the_client_waits_less_than_5_s():
    assert exit_watch_module.GRACE > 2
    assert exit_watch_module.ASK_INTERVAL + exit_watch_module.GRACE < 5


@pytest.mark.parametrize("told", [True, False], ids=["told", "asked for"])
@pytest.mark.parametrize("tty", [False, True])
def test_a_session_ends_after_its_process_although_the_engine_leaves_the_stream_open(tmp_path, hasty, told, tty):
    output = b"hi" if tty else frame(1, b"hi")
    events = Queue() if told else None
    with (
        StandInEngine(tmp_path / "s", stream=output, keeps_open=True, states=[RUNNING], events=events) as standin,
        DockerExecServer("c", port=0, path="x", docker_host=standin.address, state_dir=tmp_path) as server,
        Peer(server.url, "x", tty=tty).ready() as peer,
    ):
        assert peer.receive() == b"\x01hi"
        wait_until(lambda: standin.requests.count("GET /exec/e0/json") >= 2)  # no event has come for any exec yet
        standin.states = [ENDED]
        if told:
            standin.events.put(DIED)
        transcript = peer.transcript()
        assert (transcript.errors, transcript.exit_code, transcript.close_code) == ([], 5, 1000)
        assert any(request.startswith("GET /events?") for request in standin.requests)


def test_the_real_engine_tells_of_the_execs_that_end(docker_host, container):
    engine = Engine(docker_host, timeout=30)
    ended = ended_execs(engine)
    assert next(ended) == ""
    process = Exec(engine, container, ["true"], tty=False, marker="A=b")
    process.start()
    assert process.id in ended
    process.close()
    ended.close()
    engine.close()


def test_once_the_events_have_told_of_an_exec_no_other_is_asked_about(watch, hasty):
    events = Queue()
    first, second = FakeExec("first", ended=True), FakeExec("second")
    exits = watch(lambda: events)
    exits.watch(first)
    exits.watch(second)
    events.put("")
    events.put("first")
    assert first.output_ended.wait(5)
    wait_until(lambda: not exits._doubt.is_set())
    asked = second.asked
    exits.watch(FakeExec("third"))
    gevent.sleep(0.5)
    assert second.asked == asked
    events.put("second")
    assert second.output_ended.wait(5)


def test_the_events_are_subscribed_to_again_and_missed_ones_asked_for(watch, hasty):
    """This happens when the engine restarts. The pauses between attempts grow."""
    attempts = []
    process = FakeExec("e")

    def ended_execs():
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            yield from ["", "other"]
        if len(attempts) < 5:
            none()
        process.ended = True  # it ends during the outage: no event will report it
        yield from ["", "other"]
        gevent.sleep(1000)

    watch(ended_execs).watch(process)
    assert process.output_ended.wait(10)
    pauses = [after - before for before, after in itertools.pairwise(attempts)]
    assert [round(pause / 0.1) >= 2**number for number, pause in enumerate(pauses)] == [True] * 4


def test_10_000_silent_sessions_share_a_bounded_number_of_questions(watch):
    execs = [FakeExec(str(number)) for number in range(10_000)]
    exits = watch(none)
    begin = time.monotonic()
    for process in execs:
        exits.watch(process)
    wait_until(lambda: sum(process.asked for process in execs) >= 10)
    gevent.sleep(0.5)
    asked = sum(process.asked for process in execs)
    assert asked <= (time.monotonic() - begin) * exit_watch_module.MOST_QUESTIONS + 1
    assert max(process.asked for process in execs) == 1


def test_an_exec_that_the_engine_has_forgotten_is_over(watch, hasty, monkeypatch):
    """As after its container's end, of which an event tells."""
    events = Queue()
    process = FakeExec("e")
    watch(lambda: events).watch(process)
    for event in ("", "other"):
        events.put(event)
    wait_until(lambda: process.asked)

    def forgotten():
        raise ExecNotFoundError

    monkeypatch.setattr(process, "state", forgotten)
    events.put("")
    assert process.output_ended.wait(5)


def test_the_real_engine_tells_of_the_containers_that_stop(docker_host, own_container, docker_api):
    engine = Engine(docker_host, timeout=30)
    ended = ended_execs(engine)
    assert next(ended) == ""
    docker_api.kill(own_container)
    assert "" in ended
    ended.close()
    engine.close()


@pytest.mark.parametrize("tty", [False, True])
def test_a_container_with_the_machines_pids_that_is_removed(serve, docker_api, hasty, tty):
    """The engine leaves the stream open then, and forgets the exec."""
    with running_container(docker_api, host_config={"pid_mode": "host"}) as name:
        server = serve(name)
        peer = Peer(server.url, "bash", "-c", "trap '' HUP; echo up; setsid sleep 1000 & sleep 1000", tty=tty).ready()
        peer.until(b"up")
        docker_api.remove_container(name, force=True)
        transcript = peer.transcript()
    assert (transcript.exit_code, transcript.close_code) == (None, 1011)
    assert "its container was stopped" in transcript.errors[0]
    wait_until(lambda: server.sessions == [])
    assert server.kill_failures == 0


def test_nobody_asks_while_output_moves_or_waits_for_the_client(watch, hasty):
    process = FakeExec("e", silence=0.0, ended=True)
    watch(none).watch(process)
    gevent.sleep(0.5)
    assert process.asked == 0


def test_output_that_comes_after_the_exit_is_waited_for(watch, hasty):
    """The output may be a background child's, or still be on its way over a slow line."""
    process = FakeExec("e", silence=0.1)
    exits = watch(lambda: iter(["", "e"]))
    exits.watch(process)
    assert not process.output_ended.wait(1)
    process.silence = 0.3
    assert process.output_ended.wait(5)


def test_an_engine_that_closes_streams_is_given_time(watch, hasty):
    """Its events may come at once while the output is late on another connection."""
    first, second, third = FakeExec("a"), FakeExec("b"), FakeExec("c")
    third.state = raising(ExecNotFoundError())
    events = Queue()
    exits = watch(lambda: events)
    for process in (first, second, third):
        exits.watch(process)
    first.closed_by_engine = True
    exits.forget(first)
    events.put("b")
    events.put("c")
    assert third.output_ended.wait(5)
    assert not second.output_ended.wait(1)


def test_a_fault_of_our_own_does_not_end_the_watch(watch, hasty, caplog):
    answers = iter([RecursionError("a nested event"), ["", "e"]])

    def events():
        answer = next(answers, none)
        if isinstance(answer, Exception):
            raise answer
        return iter(answer) if isinstance(answer, list) else none()

    process = FakeExec("e")
    watch(events).watch(process)
    assert process.output_ended.wait(5)
    assert "cannot be read" in caplog.text


def raising(error):
    def state():
        raise error

    return state


def test_what_was_forgotten_is_left_alone(watch, hasty):
    process = FakeExec("e")
    exits = watch(lambda: iter(["", "e"]))
    exits.watch(process)
    wait_until(lambda: exits._exited)
    exits.forget(process)
    assert not process.output_ended.wait(0.6)
    assert not exits._watched
    assert not exits._unsure
