"""When the killer tries again, waits and gives up."""

import signal
import subprocess

import gevent

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.script import KillScript
from dockerexec_ws.engine.kill.timeouts import Waits
from tests.conftest import running_container, wait_until
from tests.engine.kill.victim import assert_left, without_host_processes
from tests.standin import StandInEngine, frame


def test_a_fault_of_our_own_is_no_last_word(engine, start, container, docker_api, monkeypatch, caplog):
    victim = start(container, "echo up; sleep 1000")
    victim.up()
    killer = Killer(engine, Waits(grace=0.5, first_retry=0.1))
    with monkeypatch.context() as patched:
        patched.setattr(HostProcesses, "_look", lambda *_: 1 / 0)
        assert not victim.end(killer)
    assert killer.failures == 1
    assert "ZeroDivisionError" in caplog.text
    assert_left(docker_api, container, [])


def test_a_container_that_is_gone_has_no_processes(engine):
    assert Killer(engine, Waits(grace=0.5)).end("nosuch", "A=b")


def test_processes_that_outlive_their_container(engine):
    """Those of a container with the machine's pids may (moby issue 45120). Only this machine's can be seen."""
    marker = Instance.unregistered().new_marker()
    name, _, value = marker.partition("=")
    with subprocess.Popen(["sleep", "1000"], env={name: value}, start_new_session=True) as process:
        try:
            killer = Killer(engine, Waits(grace=0.5))
            assert killer.end("nosuch", marker)
            assert process.wait(timeout=10) == -signal.SIGHUP
        finally:
            process.kill()
    assert killer.failures == 0


def test_the_start_tells_of_a_container_whose_processes_could_outlive_it_unseen(
    engine, killer, way, docker_api, caplog
):
    with running_container(docker_api, host_config={"pid_mode": "host"}) as container:
        killer.check(container)
    assert ("shares its pids" in caplog.text) == (way == "script")


def test_a_container_that_stops_meanwhile_has_no_processes(
    engine, start, own_container, docker_api, monkeypatch, caplog
):
    without_host_processes(monkeypatch)
    run = KillScript.run

    def stop_and_run(script):
        docker_api.kill(own_container)
        wait_until(lambda: not docker_api.inspect_container(own_container)["State"]["Running"])
        return run(script)

    monkeypatch.setattr(KillScript, "run", stop_and_run)
    victim = start(own_container, "sleep 1000")
    killer = Killer(engine, Waits(grace=0.5))
    assert killer.end(own_container, victim.marker, victim.process)
    assert (killer.failures, caplog.text) == (0, "")


def test_a_paused_container_is_waited_for(killer, start, own_container, docker_api):
    victim = start(own_container, "echo up; sleep 1000")
    victim.up()  # an exec that is starting when its container is paused blocks that container in the engine for good
    docker_api.pause(own_container)
    ending = gevent.spawn(victim.end, killer)
    gevent.sleep(1.2)
    assert not ending.ready()
    docker_api.unpause(own_container)
    assert ending.get(timeout=10)
    assert_left(docker_api, own_container, [])


def test_a_container_that_has_another_name_by_now(killer, start, own_container, docker_api):
    victim = start(own_container, "echo up; sleep 1000")
    victim.up()
    docker_api.rename(own_container, f"{own_container}-renamed")
    try:
        assert victim.end(killer)
        assert_left(docker_api, f"{own_container}-renamed", [])
    finally:
        docker_api.rename(f"{own_container}-renamed", own_container)


def test_a_script_that_says_too_much_is_not_listened_to(tmp_path, caplog):
    with StandInEngine(tmp_path / "s", stream=frame(1, b"x" * 100_000)) as standin:
        killer = Killer(Engine(standin.address, timeout=1), Waits(grace=0.5))
        assert not killer.end("c", "A=b")
        killer.close()
    assert "report is too long" in caplog.text


def test_a_script_that_does_not_report_in_time_is_said_and_tried_again(tmp_path, caplog):
    with StandInEngine(tmp_path / "s", hang_on="/start") as standin:
        killer = Killer(Engine(standin.address, timeout=0.2), Waits(grace=0.1, patience=0.2, first_retry=0.1))
        assert not killer.end("c", "A=b")
        assert "may be left in container c: the Docker Engine did not answer within 0.2 s" in caplog.text
        assert killer.failures == 1
        standin.stream = frame(1, b"users 0:0\nseen\nleft 0\n")
        standin.hang_on = None
        wait_until(lambda: "have been ended now" in caplog.text)
        assert killer.close() == []


def test_close_gives_up(tmp_path):
    with StandInEngine(tmp_path / "s", hang_on="/start") as standin:
        killer = Killer(Engine(standin.address, timeout=30), Waits(grace=0.5))
        ending = gevent.spawn(killer.end, "c", "A=b")
        wait_until(lambda: any("/start" in request for request in standin.requests))
        assert killer.close() == ["A=b"]
        assert ending.get(timeout=10) is False
        late = gevent.spawn(killer.end, "c", "A=c")
        gevent.sleep(0)
        killer.close()
        assert late.get(timeout=10) is False
