"""Fixtures: tokens, and servers for several containers."""

import pytest

from dockerexec_ws import DockerExecServer
from dockerexec_ws.access.token_file import new_token
from tests.conftest import running_container


@pytest.fixture
def token_file(tmp_path):
    """A token of alice's, and the file that holds it."""
    token, line = new_token("alice")
    (tmp_path / "tokens").write_text(f"# ours\n{line}\n")
    return token, tmp_path / "tokens"


@pytest.fixture
def names(serve):
    """A function that starts a server; returns its URL and a list that collects the names of its sessions' clients."""

    def names(**options):
        server = serve(**options)
        found = []
        server.subscribe("session", lambda session: found.append(session.client.name))
        return server.url, found

    return names


@pytest.fixture
def second_container(docker_api):
    with running_container(docker_api) as name:
        yield name


@pytest.fixture
def serve_several(docker_host):
    servers = []

    def start(**options):
        servers.append(DockerExecServer(**{"port": 0, "path": "x", "docker_host": docker_host} | options))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.close()
