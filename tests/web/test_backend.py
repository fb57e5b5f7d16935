"""The resources that an application holds from start to end, and releases if the start fails."""

import os

import pytest

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.observe.subscriptions import Events
from dockerexec_ws.settings.settings import Settings
from dockerexec_ws.web.backend import Backend

NAME = "0123456789abcdef"


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "instances"


@pytest.fixture
def settings(state_dir):
    return Settings.of(None, {"allow_container": ["x*"], "state_dir": state_dir})


@pytest.fixture
def former_file(docker_host, docker_api, own_container, state_dir):
    """The file of a killed server whose sessions cannot be ended yet, because their container is paused."""
    state_dir.mkdir()
    engine = Engine(docker_host, timeout=30)
    path = state_dir / f"{NAME}.instance"
    path.write_text(f"{engine.address}\n{own_container}\n")
    engine.close()
    docker_api.pause(own_container)
    return path


def takes_over(state_dir, docker_host):
    """The files that the next server takes over."""
    engine = Engine(docker_host, timeout=30)
    formers = list(Instance.former(state_dir, engine.address))
    engine.close()
    for former in formers:
        former.close(done=False)
    return [former.marker.removesuffix(".").rpartition("=")[2] for former in formers]


def test_a_former_server_whose_sessions_were_not_ended_is_left_to_the_next(
    settings, state_dir, former_file, docker_host
):
    """This holds even if the application is closed at once, before the takeover has begun."""
    Backend(settings, docker_host, None, Events()).close()
    assert list(state_dir.iterdir()) == [former_file]
    assert takes_over(state_dir, docker_host) == [NAME]


def test_a_start_that_fails_takes_over_nothing_and_registers_nothing(
    settings, state_dir, former_file, docker_host, monkeypatch
):
    def fail():
        raise SettingsError("which container this is cannot be told")

    monkeypatch.setattr("dockerexec_ws.access.targets.own_container_id", fail)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SettingsError):
        Backend(settings, docker_host, None, Events())
    assert list(state_dir.iterdir()) == [former_file]
    assert takes_over(state_dir, docker_host) == [NAME]
    assert len(os.listdir("/proc/self/fd")) <= before  # descriptors of earlier tests may be closed in the meantime
