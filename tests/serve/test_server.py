"""The server object: its address, its errors at the start, its end."""

import socket
from urllib.parse import urlsplit

import gevent
import pytest

from dockerexec_ws import ContainerNotFoundError, DockerExecServer, EngineUnavailableError, ListenError, SettingsError
from tests.conftest import wait_until
from tests.peer import Peer, Transcript


def true(url):
    with Peer(url, "true") as peer:
        return Transcript(peer).exit_code


def test_port_0_takes_a_free_one(docker_host, container):
    with (
        DockerExecServer(container, port=0, docker_host=docker_host) as one,
        DockerExecServer(container, port=0, docker_host=docker_host, path="") as other,
    ):
        assert one.url != other.url
        assert other.url.endswith("/")
        assert true(one.url) == true(other.url) == 0


def test_the_engine_by_its_sockets_path(docker_host, container):
    path = docker_host.removeprefix("unix://")
    with DockerExecServer(container, port=0, docker_socket=path) as server:
        assert true(server.url) == 0


def test_a_listener_of_the_callers_own(docker_host, container):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    with DockerExecServer(container, listener=listener, path="/x y/é", docker_host=docker_host) as server:
        assert server.url == f"ws://127.0.0.1:{port}/x%20y/%C3%A9"
        assert true(server.url) == 0


def test_an_ipv6_address_in_the_url():
    assert DockerExecServer("c", host="::1", port=1, path="x").url == "ws://[::1]:1/x"


def test_a_port_that_is_taken(docker_host, container):
    with DockerExecServer(container, port=0, docker_host=docker_host) as server:
        port = urlsplit(server.url).port
        with pytest.raises(ListenError, match=f"port {port}.*choose another"):
            DockerExecServer(container, port=port, docker_host=docker_host).start()


def test_a_missing_container(docker_host):
    with pytest.raises(ContainerNotFoundError, match="'nosuch'"):
        DockerExecServer("nosuch", port=0, docker_host=docker_host).start()


def test_an_engine_that_does_not_answer():
    with pytest.raises(EngineUnavailableError, match=r"tcp://127\.0\.0\.1:1"):
        DockerExecServer("c", port=0, docker_host="tcp://127.0.0.1:1").start()


def test_a_server_that_could_not_listen_leaves_nothing(docker_host, container, tmp_path):
    with DockerExecServer(container, port=0, docker_host=docker_host) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        with pytest.raises(ListenError):
            DockerExecServer(container, port=port, docker_host=docker_host).start()
        assert len(list((tmp_path / "state").iterdir())) == 1
    assert list((tmp_path / "state").iterdir()) == []


def test_a_server_starts_once(docker_host, container):
    with DockerExecServer(container, port=0, docker_host=docker_host) as server:
        with pytest.raises(SettingsError, match="cannot start twice"):
            server.start()
        assert true(server.url) == 0
    with pytest.raises(SettingsError, match="cannot start twice"):
        server.start()


def test_an_address_that_is_not_this_machines(docker_host, container):
    options = {"host": "192.0.2.1", "port": 0, "docker_host": docker_host, "allow_unauthenticated": True}
    with pytest.raises(ListenError, match="address of this machine"):
        DockerExecServer(container, **options).start()


def test_serve_forever_ends_with_close(docker_host, container):
    server = DockerExecServer(container, port=0, docker_host=docker_host)
    serving = gevent.spawn(server.serve_forever)
    wait_until(lambda: not server.url.startswith("ws://127.0.0.1:0/"))
    assert true(server.url) == 0
    url = server.url
    server.close()
    serving.get(timeout=10)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        Peer(url, "true")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"handshake_timeout": float("inf")}, "handshake_timeout: inf is not allowed here. Give a finite number"),
        ({"port": "80"}, "port: the string '80' is not allowed here. Give a whole number from 0 to 65535."),
        ({"prot": 80}, "prot is not an option. Did you mean port?"),
    ],
)
def test_a_wrong_setting_says_what_to_do(options, text):
    with pytest.raises(SettingsError, match=text):
        DockerExecServer("c", **options)
