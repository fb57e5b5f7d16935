"""Containers of several kinds: without a shell, with busybox only, read-only, full."""

import io
import secrets
import shutil
import tarfile

import pytest

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.timeouts import Waits
from tests.conftest import processes, running_container, wait_until
from tests.engine.kill.victim import TREE, assert_left, without_host_processes


def test_an_image_whose_user_is_not_root(killer, start, docker_api):
    with running_container(docker_api, user="1000:1000", host_config={"read_only": True}) as container:
        victim = start(container, TREE)
        wait_until(lambda: len(processes(docker_api, container)) >= 5)
        assert victim.end(killer)
        assert_left(docker_api, container, [])
        victim.process.close()  # the engine removes no container while output is unread


def busybox_image(api, *names):
    """Make an image that contains only busybox, under these names; return its tag."""
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
    """A running container that contains only busybox."""
    tag = busybox_image(docker_api, "busybox", "cat", "setsid", "sh", "sleep")
    with running_container(docker_api, image=tag, command=["/bin/sleep", "3600"]) as name:
        yield name
    docker_api.remove_image(tag)


@pytest.fixture
def container_without_shell(docker_api):
    """A running container whose only program is sleep."""
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


# Leaves only as many processes as the runtime needs to start a script.
FULL = "trap '' HUP; for i in {1..33}; do sleep 1000 & done; echo up; wait"


def test_a_container_with_no_pids_left(engine, docker_api, monkeypatch):
    """The script's shell cannot fork in a full container."""
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
