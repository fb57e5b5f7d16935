"""In which containers commands run, over the wire."""

import pytest

from dockerexec_ws import ContainerNotFoundError, DockerExecServer, SettingsError
from dockerexec_ws.access import targets as targets_module
from dockerexec_ws.access.targets import AllowedContainers
from dockerexec_ws.engine.docker import Engine, RunningContainer
from dockerexec_ws.errors import EngineError
from tests.access.asking import ask, assert_runs_in, assert_there_is_none
from tests.conftest import processes, wait_until
from tests.peer import HandshakeError, Peer


def test_containers_by_name(serve_several, container, second_container, docker_api):
    server = serve_several(allow_container=[container, "dockerexec-ws-test-*"])
    for name in (container, second_container):
        assert_runs_in(f"{server.url}/{name}", docker_api, name)
        identifier = docker_api.inspect_container(name)["Id"]
        assert_runs_in(f"{server.url}/{identifier[:12]}", docker_api, name)
    assert_there_is_none(f"{server.url}/servertest")  # it exists, but is not allowed
    assert_there_is_none(f"{server.url}/nosuch")
    for odd in ("/", "/a/b", "/..", "/%2e%2e", "/" + "a" * 300, "/%ff", "//"):
        assert_there_is_none(server.url + odd) if odd.strip("/") else None
    assert ask(server.url, "true").errors == [
        "No container was named. Add its name to the URL's path, as in PATH/CONTAINER."
    ]
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url.replace("/x", "/y"), "true")
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("path", ["/", "/a/b/"])
def test_containers_below_any_path(serve_several, container, docker_api, path):
    server = serve_several(allow_container=["*"], path=path)
    assert_runs_in(f"{server.url.rstrip('/')}/{container}", docker_api, container)


@pytest.mark.parametrize(
    ("label", "found"),
    [("dockerexec-ws.test", True), ("dockerexec-ws.test=1", True), ("dockerexec-ws.test=2", False), ("other", False)],
)
def test_containers_by_label(serve_several, container, docker_api, label, found):
    server = serve_several(allow_container_label=[label])
    if found:
        assert_runs_in(f"{server.url}/{container}", docker_api, container)
    else:
        assert_there_is_none(f"{server.url}/{container}")


def test_the_processes_of_sessions_in_several_containers_end(serve_several, container, second_container, docker_api):
    server = serve_several(allow_container=["*"])
    peers = [Peer(f"{server.url}/{name}", "sleep", "1000").ready() for name in (container, second_container)]
    for peer in peers:
        peer.vanish()
    wait_until(lambda: server.sessions == [])
    for name in (container, second_container):
        wait_until(lambda name=name: processes(docker_api, name) == [])


def test_the_container_that_the_server_runs_in(serve_several, serve, container, docker_host, docker_api, monkeypatch):
    own = docker_api.inspect_container(container)["Id"]
    monkeypatch.setattr(targets_module, "own_container_id", lambda: own)
    with pytest.raises(SettingsError, match="--allow-own-container"):
        serve()
    server = serve_several(allow_container=["*"])
    assert_there_is_none(f"{server.url}/{container}")
    server = serve_several(allow_container=["*"], allow_own_container=True)
    assert_runs_in(f"{server.url}/{container}", docker_api, container)
    assert ask(serve(allow_own_container=True).url, "true").exit_code == 0


def test_one_container_or_several(docker_host):
    for options in ({}, {"container_id": "a", "allow_container": ["b"]}):
        with pytest.raises(SettingsError, match="one container for all sessions"):
            DockerExecServer(docker_host=docker_host, **options)


def test_a_fixed_container_has_nothing_below_its_path(server):
    with pytest.raises(HandshakeError) as refused:
        Peer(f"{server.url}/x", "true")
    assert refused.value.response.status_code == 404


def test_a_missing_container_at_start(docker_host):
    with pytest.raises(ContainerNotFoundError):
        DockerExecServer("nosuch", port=0, docker_host=docker_host).start()


def test_what_the_engine_tells_of_a_container(docker_host, container, docker_api):
    state = Engine(docker_host, timeout=30).container_state(container)
    assert (state.name, state.labels["dockerexec-ws.test"]) == (container, "1")


class ListingEngine:
    """An engine that has some containers, or that may not list them."""

    def __init__(self, listed):
        self._listed = listed

    def running_containers(self):
        if self._listed is None:
            raise EngineError("403 Forbidden")
        return [RunningContainer(name, name, {"shell": "yes"} if name == "other" else {}) for name in self._listed]


@pytest.mark.parametrize(
    ("labels", "narrowed", "offered"),
    [
        ([], None, ["app", "db-1", "web"]),
        ([], ["web"], ["web"]),
        ([], ["w*"], ["web"]),
        ([], ["other"], []),
        ([], ["db-1", "web", "other"], ["db-1", "web"]),
        (["shell=yes"], ["other"], ["other"]),
        (["shell=no"], ["other"], []),
        (["shell"], None, ["app", "db-1", "other", "web"]),
    ],
)
def test_which_containers_are_offered(labels, narrowed, offered):
    engine = ListingEngine(["web", "app", "db-1", "other", "foreign"])
    targets = AllowedContainers(engine, ["web", "app", "db-*"], labels)
    assert [offer.name for offer in targets.offered(narrowed)] == offered


@pytest.mark.parametrize(
    ("labels", "narrowed", "offered"),
    [
        ([], None, ["app", "web"]),
        ([], ["db-1", "web", "other"], ["db-1", "web"]),  # db-1 by the policy's db-*
        (["shell"], ["other"], ["other"]),  # by its label, perhaps
    ],
)
def test_where_the_engine_lists_none_the_names_that_are_spelt_out_are_offered(labels, narrowed, offered):
    targets = AllowedContainers(ListingEngine(None), ["web", "app", "db-*"], labels)
    assert [offer.name for offer in targets.offered(narrowed)] == offered
