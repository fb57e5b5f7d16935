"""Fixtures: both ways to end processes, and processes to end."""

import pytest

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.script import KillScript
from dockerexec_ws.engine.kill.timeouts import Waits
from tests.engine.kill.victim import Victim, without_host_processes


@pytest.fixture
def engine(docker_host):
    return Engine(docker_host, timeout=30)


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


@pytest.fixture
def start(engine):
    """A function that starts a script in a container; its streams stay open and unread until the test ends."""
    started = []

    def start(container, script, shell="bash", argv=None):
        started.append(Victim(engine, container, argv or [shell, "-c", script]))
        return started[-1]

    yield start
    for victim in started:
        victim.process.close()
