"""The complete list of the server's requests to the engine, so that an operator can allow exactly these."""

import re
from urllib.parse import urlencode, urlsplit

import pytest

from dockerexec_ws import DockerExecServer
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.protocol.v1 import Code
from tests.conftest import LABEL, processes, running_container, wait_until
from tests.peer import Peer, Transcript
from tests.relay import relay

ALL = {
    "GET /version",
    "GET /containers/{id}/json",
    "POST /containers/{id}/exec",
    "POST /exec/{id}/start",
    "GET /exec/{id}/json",
    "POST /exec/{id}/resize",
    "GET /events",
}
NOW_AND_THEN = {"GET /containers/{id}/top"}  # when the engine is late to tell that a process has ended
# An engine before API 1.42 sets the size only after the process has started.
SIZES = """
until stty size | grep -q '^33 120'; do sleep 0.05; done; echo first
until stty size | grep -q '^44 130'; do sleep 0.05; done; echo second
"""


@pytest.fixture
def engine(docker_host):
    """The address of a relay to the engine, and the set of requests that the relay has seen."""
    parts = urlsplit(docker_host)
    if parts.scheme != "unix":
        pytest.skip(f"the relay takes only an engine at a unix socket, not {docker_host}")
    asked = set()

    def note(method, target):
        path = re.sub(r"^/v1\.\d+", "", urlsplit(target).path)
        asked.add(f"{method} " + re.sub(r"^/(containers|exec)/[^/]+/", r"/\1/{id}/", path))

    server = relay(parts.path, note=note)
    server.start()
    yield f"tcp://127.0.0.1:{server.server_port}", asked
    server.stop(timeout=0)


@pytest.mark.parametrize("way", ["from outside", "by the script"])
def test_nothing_but_these_is_asked(way, engine, docker_api, container, own_container, tmp_path, monkeypatch):
    if way == "by the script":
        monkeypatch.setattr(HostProcesses, "of", lambda container: None)
    address, asked = engine
    options = {"port": 0, "path": "x", "docker_host": address}
    with DockerExecServer(container, audit_log=tmp_path / "audit", max_duration=3600, **options) as server:
        query = urlencode({"tty": "true", "rows": 33, "columns": 120, "command": ["bash", "-c", SIZES]}, doseq=True)
        with Peer(server.url, query=query) as peer:
            peer.until(b"first")
            peer.resize(44, 130)
            peer.until(b"second")
            assert Transcript(peer).exit_code == 0
        with Peer(server.url, "cat") as peer:
            peer.ready()
            peer.stdin(b"data")
            peer.end()
            assert Transcript(peer).stdout == b"data"
        assert Transcript(Peer(server.url, "no-such-command")).messages[-1][0] == Code.STOPPED
        assert Transcript(Peer(server.url, "sh", "-c", "kill -9 $$")).exit_code == 137
        for tty in (False, True):
            with Peer(server.url, "sleep", "61", tty=tty) as peer:
                peer.ready()
                wait_until(lambda: "sleep 61" in processes(docker_api, container))
                peer.vanish()
            wait_until(lambda: processes(docker_api, container) == [])
    with running_container(docker_api) as other, DockerExecServer(allow_container_label=[LABEL], **options) as server:
        for name in (own_container, other):
            assert Transcript(Peer(f"{server.url}/{name}", "true")).exit_code == 0
        assert Transcript(Peer(f"{server.url}/no-such-container", "true")).close_code == 1008
        assert Transcript(Peer(f"{server.url}/..%2F..%2Fversion", "true")).close_code == 1008
        with Peer(f"{server.url}/{other}", "sleep", "61") as peer:
            peer.ready()
            wait_until(lambda: "sleep 61" in processes(docker_api, other))
            server.close()  # ends the session in another way
            assert Transcript(peer).close_code == 1001
        wait_until(lambda: processes(docker_api, other) == [])
    assert asked - NOW_AND_THEN == ALL
