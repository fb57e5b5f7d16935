"""Ending process trees in real containers, of users, shells and kinds, from the engine's machine and from within."""

import io
import secrets
import shutil
import tarfile
import time

import gevent
import pytest

from dockerexec_ws.engine.client import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill import host as host_processes_module
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.script import KillScript
from dockerexec_ws.engine.kill.waits import Waits
from dockerexec_ws.errors import EngineError, EngineTimeoutError
from tests.conftest import processes, running_container, wait_until
from tests.standin import StandInEngine, frame


@pytest.fixture
def engine(docker_host):
    return Engine(docker_host)


def without_host_processes(monkeypatch):
    """As with an engine on another machine, or a server that is not root."""
    monkeypatch.setattr(HostProcesses, "of", lambda container: None)


@pytest.fixture(params=["host", "script"])
def way(request, monkeypatch):
    """Both ways to end processes."""
    if request.param == "script":
        without_host_processes(monkeypatch)
    else:
        monkeypatch.setattr(KillScript, "run", lambda self: pytest.fail("the script was run"))
    return request.param


@pytest.fixture
def killer(engine, way):
    return Killer(engine, Waits(grace=0.5))


class Victim:
    def __init__(self, engine, container, argv):
        self.container = container
        self.marker = Instance.unregistered().new_marker()
        self.process = Exec(engine, container, argv, tty=False, marker=self.marker)
        self.process.start()

    def up(self):
        """Wait for its first output."""
        data = bytes(self.process.read())
        assert data
        return data[8:].decode()

    def end(self, killer):
        return killer.end(self.container, self.marker, self.process)


@pytest.fixture
def start(engine):
    """A function that starts a script in a container; the streams stay open, unread, until the test's end."""
    started = []

    def start(container, script, shell="bash", argv=None):
        started.append(Victim(engine, container, argv or [shell, "-c", script]))
        return started[-1]

    yield start
    for victim in started:
        victim.process.close()


def assert_left(api, container, expected):
    """These processes are left, and no others; the script that ends them has said so, and may just be ending itself."""
    wait_until(lambda: processes(api, container) == expected, timeout=2)


# Leaves what the runtime takes to start a script, and no more.
FULL = "trap '' HUP; for i in {1..33}; do sleep 1000 & done; echo up; wait"

TREE = "trap '' HUP TERM; setsid sleep 1000 & sleep 1000 & (sleep 1000 & sleep 1000) & cat /dev/zero"


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


def test_an_image_whose_user_is_not_root(killer, start, docker_api):
    with running_container(docker_api, user="1000:1000", host_config={"read_only": True}) as container:
        victim = start(container, TREE)
        wait_until(lambda: len(processes(docker_api, container)) >= 5)
        assert victim.end(killer)
        assert_left(docker_api, container, [])
        victim.process.close()  # the engine removes no container as long as output is unread


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
    """The engine tells its pid, which is the host's; from within the container it cannot be found."""
    victim = start(own_container, None, argv=["env", "-i", "bash", "-c", "echo up; sleep 1000"])
    victim.up()
    assert victim.end(killer) == (way == "host")
    assert ("sleep 1000" in processes(docker_api, own_container)) == (way == "script")
    assert ("they cannot be found" in caplog.text) == (way == "script")
    assert killer.failures == (way == "script")


def busybox_image(api, *names):
    """Make an image of nothing but busybox under these names; return its tag."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("there is no busybox: install busybox-static")
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as tar:
        tar.add(busybox, f"bin/{names[0]}")
        for name in names[1:]:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, names[0]
            tar.addfile(link)
    tag = f"dockerexec-ws-test-busybox:{secrets.token_hex(4)}"
    api.import_image_from_data(image.getvalue(), *tag.split(":"))
    return tag


@pytest.fixture
def busybox_container(docker_api):
    """A running container with nothing in it but busybox."""
    tag = busybox_image(docker_api, "busybox", "cat", "setsid", "sh", "sleep")
    with running_container(docker_api, image=tag, command=["/bin/sleep", "3600"]) as name:
        yield name
    docker_api.remove_image(tag)


@pytest.fixture
def container_without_shell(docker_api):
    """A running container with no program but sleep."""
    tag = busybox_image(docker_api, "sleep")
    with running_container(docker_api, image=tag, command=["/bin/sleep", "3600"]) as name:
        yield name
    docker_api.remove_image(tag)


def test_an_image_with_busybox_only(killer, busybox_container, start, docker_api):
    bystander = start(busybox_container, "exec sleep 555", shell="sh")
    victim = start(busybox_container, TREE, shell="sh")
    wait_until(lambda: len(processes(docker_api, busybox_container)) >= 6)
    assert victim.end(killer)
    assert_left(docker_api, busybox_container, ["sleep 555"])
    assert bystander.end(killer)


def test_an_image_without_a_shell(killer, way, container_without_shell, start, docker_api, caplog):
    victim = start(container_without_shell, None, argv=["sleep", "1000"])
    wait_until(lambda: processes(docker_api, container_without_shell) == ["sleep 1000"])
    killer.check(container_without_shell)
    assert ("cannot be ended: the image has no usable /bin/sh" in caplog.text) == (way == "script")
    assert victim.end(killer) == (way == "host")
    assert (processes(docker_api, container_without_shell) == []) == (way == "host")
    assert killer.failures == (way == "script")
    assert ("may be left" in caplog.text) == (way == "script")


def test_what_can_be_ended_needs_no_word_and_ends_nothing(killer, start, container, docker_api, caplog):
    bystander = start(container, "X='no such variable DOCKEREXEC_WS_SESSION=' exec sleep 555")
    wait_until(lambda: processes(docker_api, container) == ["sleep 555"])
    killer.check(container)
    assert caplog.text == ""
    assert_left(docker_api, container, ["sleep 555"])
    assert bystander.end(killer)


NAMES = ["x) S 1 1 {sid}", "x) S 1 1 {sid}\\n", "\\n) S {sid} 1 {sid}", "a b (c) d", "%%d $x *"]


@pytest.mark.parametrize("name", NAMES)
def test_a_processs_name_decides_nothing(killer, start, container, docker_api, name):
    """/proc/PID/stat has it in parentheses, as it is: one that looks like numbers of another session is no trap."""
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


def test_a_process_that_is_only_about_to_start(killer, start, container, docker_api):
    for _ in range(5):
        assert start(container, "sleep 1000").end(killer)
        assert_left(docker_api, container, [])


def test_a_process_that_starts_long_after_the_engine_was_told(engine, container, docker_api, monkeypatch, caplog):
    """The request to start it hung for longer than its session lasted."""
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


def test_a_process_that_the_engine_refused_to_start_is_not_waited_for(engine, own_container, docker_api):
    marker = Instance.unregistered().new_marker()
    process = Exec(engine, own_container, ["true"], tty=False, marker=marker)
    docker_api.kill(own_container)
    with pytest.raises(EngineError):
        process.start()
    killer = Killer(engine, Waits(grace=0.5))
    assert killer.end(own_container, marker, process)
    assert killer.close() == []


def test_all_sessions_of_an_instance(engine, killer, container, docker_api):
    """A marker may be the beginning of one; those of other instances are not touched."""
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


def test_an_environment_of_megabytes_holds_up_nobody(killer, start, container, docker_api):
    script = (
        "x=$(printf '%0100000d' 0); for i in {1..15}; do export v$i=$x; done; for i in {1..15}; do sleep 1000 & done"
    )
    large = start(container, f"{script}; echo up; wait")
    large.up()
    victim = start(container, "echo up; sleep 999")
    victim.up()
    begin = time.monotonic()
    assert victim.end(killer)
    assert time.monotonic() - begin < 3
    assert large.end(killer)
    assert_left(docker_api, container, [])


def test_what_gets_the_number_of_an_ended_first_process_is_not_taken_for_it(engine, start, container, monkeypatch):
    """The engine's word on an exec's first process is of a moment ago."""
    bystander = start(container, "echo up; exec sleep 555")
    bystander.up()
    pid = wait_until(lambda: bystander.process.state().pid)
    state = engine.container_state(container)
    host = HostProcesses(state)
    host._roots = {(pid, 0)}  # as if another process had had the number
    assert host._look({"A=b": b"\0A=b"}) == {}
    (found,) = HostProcesses(state)._look({"": b"\0" + bystander.marker.encode()})
    assert found == pid
    assert bystander.end(Killer(engine, Waits(grace=0.5)))


def test_a_server_within_the_container_cannot_know_the_engines_numbers(engine, container, monkeypatch):
    state = engine.container_state(container)
    assert HostProcesses.of(state) is not None
    own = host_processes_module._read_file("self", "cgroup")
    read_file = host_processes_module._read_file
    monkeypatch.setattr(
        host_processes_module,
        "_read_file",
        lambda pid, name: own + state.id.encode() if pid == "self" else read_file(pid, name),
    )
    assert HostProcesses.of(state) is None


def test_sighup_comes_first_however_long_a_look_takes(engine, way, start, container, docker_api, monkeypatch):
    victim = start(container, "trap 'echo bye; exit' HUP; echo up; while :; do sleep 0.05; done")
    victim.up()
    if way == "host":
        look = HostProcesses._look
        monkeypatch.setattr(HostProcesses, "_look", lambda *arguments: time.sleep(0.3) or look(*arguments))
    assert victim.end(Killer(engine, Waits(grace=0.25)))
    assert b"bye" in bytes(victim.process.read() if way == "host" else b"bye")


def test_a_script_that_says_too_much_is_not_listened_to(tmp_path, caplog):
    with StandInEngine(tmp_path / "s", stream=frame(1, b"x" * 100_000)) as standin:
        killer = Killer(Engine(standin.address, timeout=1), Waits(grace=0.5))
        assert not killer.end("c", "A=b")
        killer.close()
    assert "report is too long" in caplog.text


def test_an_answer_that_makes_no_sense_is_no_last_word(tmp_path, caplog):
    with StandInEngine(tmp_path / "s", states=[{}]) as standin:
        process = Exec(Engine(standin.address, timeout=1), "c", ["x"], tty=False, marker="A=b")
        with pytest.raises(EngineError, match="no sense"):
            process.state()


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


def test_a_container_with_no_pids_left(engine, docker_api, monkeypatch):
    """The script's shell cannot fork then."""
    without_host_processes(monkeypatch)
    with running_container(docker_api, host_config={"pids_limit": 40}) as container:
        process = Exec(engine, container, ["bash", "-c", FULL], tty=False, marker="DEWT=1234567890")
        process.start()
        assert b"up" in bytes(process.read())
        killer = Killer(engine, Waits(grace=0.5))
        ended = killer.end(container, "DEWT=1234567890", process)
        wait_until(lambda: processes(docker_api, container) == [], timeout=30)
        assert ended or killer.failures
        killer.close()
        process.close()


def test_a_container_that_is_gone_has_no_processes(engine):
    assert Killer(engine, Waits(grace=0.5)).end("nosuch", "A=b")


def test_a_paused_container_is_waited_for(killer, start, own_container, docker_api):
    victim = start(own_container, "echo up; sleep 1000")
    victim.up()  # an exec that is about to start when its container is paused blocks the engine's container for good
    docker_api.pause(own_container)
    ending = gevent.spawn(victim.end, killer)
    gevent.sleep(1.2)
    assert not ending.ready()
    docker_api.unpause(own_container)
    assert ending.get(timeout=3)
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
        killer = Killer(Engine(standin.address), Waits(grace=0.5))
        ending = gevent.spawn(killer.end, "c", "A=b")
        wait_until(lambda: any("/start" in request for request in standin.requests))
        assert killer.close() == ["A=b"]
        assert ending.get(timeout=2) is False
        late = gevent.spawn(killer.end, "c", "A=c")
        gevent.sleep(0)
        killer.close()
        assert late.get(timeout=2) is False
