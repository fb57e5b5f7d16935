"""Processes that the engine was told to start, but that do not exist yet."""

import dataclasses

import gevent
import pytest

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.timeouts import Waits
from dockerexec_ws.errors import EngineError, EngineTimeoutError
from tests.conftest import processes, wait_until
from tests.engine.kill.victim import assert_left


def test_a_process_that_is_only_about_to_start(killer, start, container, docker_api):
    for _ in range(5):
        assert start(container, "sleep 1000").end(killer)
        assert_left(docker_api, container, [])


def test_a_process_that_starts_long_after_the_engine_was_told(engine, container, docker_api, monkeypatch, caplog):
    """The request to start the process hung for longer than the session lasted."""
    marker = Instance.unregistered().new_marker()
    process = Exec(engine, container, ["sleep", "1000"], tty=False, marker=marker)
    start_exec = engine.start_exec
    streams = []

    def hang(*arguments, **options):
        gevent.spawn_later(1.5, lambda: streams.append(start_exec(*arguments, **options)))
        raise EngineTimeoutError("the engine did not answer")

    monkeypatch.setattr(engine, "start_exec", hang)
    with pytest.raises(EngineTimeoutError):
        process.start()
    killer = Killer(engine, Waits(grace=0.5, start=0.2))
    assert killer.end(container, marker, process)
    assert not streams
    wait_until(lambda: streams)
    wait_until(lambda: "after the end of its session" in caplog.text)
    assert_left(docker_api, container, [])
    wait_until(lambda: not killer.unfinished)
    streams[0].close()


def test_a_process_that_has_ended_although_the_engine_says_that_it_runs(
    engine, way, start, container, docker_api, monkeypatch, caplog
):
    """The engine may learn of an end only once it could deliver the output of other execs."""
    victim = start(container, "echo up; read")
    victim.up()
    running = wait_until(lambda: (state := victim.process.state()).pid and state)
    victim.process.end_stdin()
    wait_until(lambda: processes(docker_api, container) == [])
    monkeypatch.setattr(engine, "exec_state", lambda _: running)
    killer = Killer(engine, Waits(grace=0.5, start=0.2))
    assert victim.end(killer)
    assert (killer.failures, killer.unfinished, caplog.text) == (0, [], "")


def test_a_process_that_the_engine_is_still_about_to_start(engine, way, container, docker_api, monkeypatch, caplog):
    """The engine then says that the exec runs, and knows no pid."""
    marker = Instance.unregistered().new_marker()
    process = Exec(engine, container, ["sleep", "1000"], tty=False, marker=marker)
    starting = dataclasses.replace(process.state(), running=True)
    killer = Killer(engine, Waits(grace=0.5, start=0.2, first_retry=0.2))
    with monkeypatch.context() as patched:
        patched.setattr(engine, "exec_state", lambda _: starting)
        assert killer.end(container, marker, process)
        assert (killer.failures, caplog.text) == (0, "")
        process.start()
    wait_until(lambda: not killer.unfinished)
    assert_left(docker_api, container, [])
    process.close()


def test_a_process_that_the_engine_refused_to_start_is_not_waited_for(engine, own_container, docker_api):
    marker = Instance.unregistered().new_marker()
    process = Exec(engine, own_container, ["true"], tty=False, marker=marker)
    docker_api.kill(own_container)
    with pytest.raises(EngineError):
        process.start()
    killer = Killer(engine, Waits(grace=0.5))
    assert killer.end(own_container, marker, process)
    assert killer.close() == []
