"""Ending process trees in real containers, of users, shells and kinds."""

import io
import secrets
import shutil
import tarfile
import time

import gevent
import pytest

from dockerexec_ws.engine import killer as killer_module
from dockerexec_ws.engine.client import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.killer import Killer
from tests.conftest import processes, running_container, wait_until
from tests.standin import StandInEngine


@pytest.fixture
def engine(docker_host):
    return Engine(docker_host)


@pytest.fixture
def start(engine):
    """A function that starts a script in a container; the streams stay open, unread, until the test's end."""
    started = []

    def start(container, script, shell="bash"):
        process = Exec(engine, container, [shell, "-c", script], tty=False)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()


TREE = "trap '' HUP; setsid sleep 1000 & sleep 1000 & (sleep 1000 & sleep 1000) & cat /dev/zero"


def test_many_sessions_that_end_at_once_share_a_script(engine, start, container, docker_api):
    victims = [start(container, TREE) for _ in range(10)]
    bystander = start(container, "sleep 555")
    wait_until(lambda: len(processes(docker_api, container)) >= 62)
    killer = Killer(engine)
    begin = time.monotonic()
    greenlets = [gevent.spawn(killer.end, container, victim.marker) for victim in victims]
    gevent.joinall(greenlets)
    assert [greenlet.value for greenlet in greenlets] == [True] * 10
    assert time.monotonic() - begin < 4
    assert processes(docker_api, container) == ["sleep 555"]
    assert killer.end(container, bystander.marker)


def test_a_process_has_half_a_second_to_end_by_itself(engine, start, container, docker_api):
    victim = start(container, "trap 'sleep 0.2; echo bye >/tmp/bye; exit' HUP; echo up; while :; do sleep 0.05; done")
    victim.read()
    assert Killer(engine).end(container, victim.marker)
    check = start(container, "cat /tmp/bye; rm /tmp/bye")
    assert b"bye" in bytes(check.read())


def test_a_stopped_process_ends_too(engine, start, container, docker_api):
    victim = start(container, "sleep 1000 & kill -STOP $!; echo up; wait")
    victim.read()
    assert Killer(engine).end(container, victim.marker)
    assert processes(docker_api, container) == []


def test_an_image_whose_user_is_not_root(engine, start, docker_api):
    with running_container(docker_api, user="1000:1000", host_config={"read_only": True}) as container:
        victim = start(container, TREE)
        wait_until(lambda: len(processes(docker_api, container)) >= 5)
        assert Killer(engine).end(container, victim.marker)
        assert processes(docker_api, container) == []
        victim.close()  # the engine removes no container as long as output is unread


@pytest.fixture
def busybox_container(docker_api):
    """A running container with nothing in it but busybox."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("there is no busybox: install busybox-static")
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("cat", "setsid", "sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    tag = f"dockerexec-ws-test-busybox:{secrets.token_hex(4)}"
    docker_api.import_image_from_data(image.getvalue(), *tag.split(":"))
    try:
        with running_container(docker_api, image=tag, command=["/bin/sleep", "3600"]) as name:
            yield name
    finally:
        docker_api.remove_image(tag)


def test_an_image_with_busybox_only(engine, busybox_container, start, docker_api):
    bystander = start(busybox_container, "exec sleep 555", shell="sh")
    victim = start(busybox_container, TREE, shell="sh")
    wait_until(lambda: len(processes(docker_api, busybox_container)) >= 6)
    assert Killer(engine).end(busybox_container, victim.marker)
    assert processes(docker_api, busybox_container) == ["sleep 555"]
    assert Killer(engine).end(busybox_container, bystander.marker)


NAMES = ["x) S 1 1 {sid}", "x) S 1 1 {sid}\\n", "\\n) S {sid} 1 {sid}", "a b (c) d", "%%d $x *"]


@pytest.mark.parametrize("name", NAMES)
def test_a_processs_name_decides_nothing(engine, start, container, docker_api, name):
    """/proc/PID/stat has it in parentheses, as it is: one that looks like numbers of another session is no trap."""
    bystander = start(container, "echo $$; exec sleep 555")
    comm = name.format(sid=bytes(bystander.read()[8:]).decode().strip())
    victim = start(container, f"printf '{comm}' >/proc/$$/comm; (sleep 9; :) & echo up; wait")
    victim.read()
    assert Killer(engine).end(container, victim.marker)
    assert processes(docker_api, container) == ["sleep 555"]
    assert Killer(engine).end(container, bystander.marker)


def test_processes_that_fork_all_the_time(engine, start, container, docker_api):
    script = "trap '' HUP; for i in {1..60}; do (while :; do /bin/true; done) & done; echo up; wait"
    victim = start(container, script)
    victim.read()
    assert Killer(engine).end(container, victim.marker)
    assert processes(docker_api, container) == []


def test_a_container_that_is_gone_has_no_processes(engine):
    assert Killer(engine).end("nosuch", "A=b")


def test_what_cannot_be_ended_is_said(engine, start, own_container, docker_api, caplog):
    victim = start(own_container, "echo up; sleep 1000")
    victim.read()  # an exec that is about to start when its container is paused blocks the engine's container for good
    docker_api.pause(own_container)
    assert not Killer(engine).end(own_container, victim.marker)
    assert "may be left" in caplog.text
    assert "paused" in caplog.text


def test_an_image_without_a_shell_is_said(tmp_path, caplog):
    with StandInEngine(tmp_path / "s", stream=b"\1\0\0\0\0\0\0\x13no /bin/sh in here!") as standin:
        assert not Killer(Engine(standin.address)).end("c", "A=b")
    assert "no /bin/sh in here!" in caplog.text


def test_a_script_that_does_not_report_in_time_is_said(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(killer_module, "TIMEOUT", 0.5)
    with StandInEngine(tmp_path / "s", hang_on="/start") as standin:
        assert not Killer(Engine(standin.address)).end("c", "A=b")
    assert "no report within 0.5 s" in caplog.text
