"""Which processes both ways end, and in which order; they end no others."""

import time

import gevent
import pytest

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.timeouts import Waits
from tests.conftest import processes, wait_until
from tests.engine.kill.victim import TREE, assert_left


def test_many_sessions_that_end_at_once_are_ended_together(killer, start, container, docker_api):
    victims = [start(container, TREE) for _ in range(10)]
    bystander = start(container, "sleep 555")
    wait_until(lambda: len(processes(docker_api, container)) >= 62)
    begin = time.monotonic()
    greenlets = [gevent.spawn(victim.end, killer) for victim in victims]
    gevent.joinall(greenlets)
    assert [greenlet.value for greenlet in greenlets] == [True] * 10
    assert time.monotonic() - begin < 4
    assert_left(docker_api, container, ["sleep 555"])
    assert bystander.end(killer)
    assert killer.failures == 0


@pytest.mark.parametrize(("grace", "bye"), [(0.5, "bye"), (0.0, "none")])
def test_a_process_has_the_grace_to_end_by_itself(engine, way, start, own_container, grace, bye):
    victim = start(
        own_container, "trap 'sleep 0.2; echo bye >/tmp/bye; exit' HUP; echo up; while :; do sleep 0.05; done"
    )
    victim.up()
    assert victim.end(Killer(engine, Waits(grace=grace)))
    check = start(own_container, "[ -e /tmp/bye ] && echo bye || echo none")
    assert check.up().strip() == bye


def test_a_stopped_process_ends_too(killer, start, container, docker_api):
    victim = start(container, "sleep 1000 & kill -STOP $!; echo up; wait")
    victim.up()
    assert victim.end(killer)
    assert_left(docker_api, container, [])


@pytest.mark.parametrize("user", ["--reuid 1000 --regid 1000 --clear-groups", "--reuid 1000 --keep-groups"])
def test_processes_of_other_users(killer, start, container, docker_api, user):
    victim = start(container, f'setsid setpriv {user} bash -c "{TREE}" >/dev/null & setpriv {user} sleep 999 & wait')
    wait_until(lambda: len(processes(docker_api, container)) >= 7)
    assert victim.end(killer)
    assert_left(docker_api, container, [])


def test_processes_with_a_cleared_environment(killer, start, container, docker_api):
    victim = start(container, "env -i setsid sleep 1000 & setsid env -i bash -c 'sleep 1000 & sleep 1000' & sleep 1000")
    wait_until(lambda: len(processes(docker_api, container)) >= 6)
    assert victim.end(killer)
    assert_left(docker_api, container, [])


def test_a_first_process_that_clears_its_own_environment(engine, killer, way, start, own_container, docker_api, caplog):
    """The engine reports the host's pid, which does not identify the process inside the container."""
    victim = start(own_container, None, argv=["env", "-i", "bash", "-c", "echo up; sleep 1000"])
    victim.up()
    assert victim.end(killer) == (way == "host")
    assert ("sleep 1000" in processes(docker_api, own_container)) == (way == "script")
    assert ("they cannot be found" in caplog.text) == (way == "script")
    assert killer.failures == (way == "script")


NAMES = ["x) S 1 1 {sid}", "x) S 1 1 {sid}\\n", "\\n) S {sid} 1 {sid}", "a b (c) d", "%%d $x *"]


@pytest.mark.parametrize("name", NAMES)
def test_a_processs_name_decides_nothing(killer, start, container, docker_api, name):
    """/proc/PID/stat has the name unescaped, in parentheses. A name like another session's numbers does no harm."""
    bystander = start(container, "echo $$; exec sleep 555")
    comm = name.format(sid=bystander.up().strip())
    victim = start(container, f"printf '{comm}' >/proc/$$/comm; (sleep 9; :) & echo up; wait")
    victim.up()
    assert victim.end(killer)
    assert_left(docker_api, container, ["sleep 555"])
    assert bystander.end(killer)


def test_processes_that_fork_all_the_time(killer, start, container, docker_api):
    script = "trap '' HUP; for i in {1..60}; do (while :; do /bin/true; done) & done; echo up; wait"
    victim = start(container, script)
    victim.up()
    begin = time.monotonic()
    assert victim.end(killer)
    assert time.monotonic() - begin < 20
    assert_left(docker_api, container, [])


def test_all_sessions_of_an_instance(engine, killer, container, docker_api):
    """An instance's marker is a prefix of its sessions' markers. Sessions of other instances are not touched."""
    instances = [Instance.unregistered() for _ in range(2)]
    execs = [
        Exec(engine, container, ["sleep", seconds], tty=False, marker=instance.new_marker())
        for instance, seconds in [(instances[0], "1000"), (instances[0], "1000"), (instances[1], "555")]
    ]
    for process in execs:
        process.start()
    wait_until(lambda: len(processes(docker_api, container)) == 3)
    assert killer.end(container, instances[0].marker)
    assert_left(docker_api, container, ["sleep 555"])
    assert killer.end(container, instances[1].marker)
    for process in execs:
        process.close()


def test_an_environment_of_megabytes_holds_up_nobody(killer, start, own_container, docker_api):
    script = (
        "x=$(printf '%0100000d' 0); for i in {1..15}; do export v$i=$x; done; for i in {1..15}; do sleep 1000 & done"
    )
    large = start(own_container, f"{script}; echo up; wait")
    large.up()
    victim = start(own_container, "echo up; sleep 999")
    victim.up()
    begin = time.monotonic()
    assert victim.end(killer)
    assert time.monotonic() - begin < 8
    assert large.end(killer)
    assert_left(docker_api, own_container, [])


def test_sighup_comes_first_however_long_a_look_takes(engine, way, start, container, docker_api, monkeypatch):
    victim = start(container, "trap 'echo bye; exit' HUP; echo up; while :; do sleep 0.05; done")
    victim.up()
    if way == "host":
        look = HostProcesses._look
        monkeypatch.setattr(HostProcesses, "_look", lambda *arguments: time.sleep(0.3) or look(*arguments))
    assert victim.end(Killer(engine, Waits(grace=0.25)))
    assert b"bye" in bytes(victim.process.read() if way == "host" else b"bye")
