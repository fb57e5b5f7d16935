"""How the server finds an engine, and what it says if it finds none."""

import contextlib
import gc
import socket
import ssl
import warnings

import gevent
import pytest
import trustme

from dockerexec_ws.engine.docker import Engine, engine_address
from dockerexec_ws.engine.exec_events import ended_execs
from dockerexec_ws.errors import ContainerNotFoundError, EngineUnavailableError, SettingsError
from tests.conftest import wait_until
from tests.relay import relay
from tests.standin import StandInEngine

# docker-py leaks the unix socket if connect() fails. It is collected here, where the warning is no error.
leaves_a_socket = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _collect_garbage():
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_the_engine_is_given_in_one_way_only():
    assert engine_address(None, None) is None
    assert engine_address("tcp://1.2.3.4:5", None) == "tcp://1.2.3.4:5"
    assert engine_address(None, "/a/b") == "unix:///a/b"
    with pytest.raises(SettingsError, match="not both"):
        engine_address("tcp://1.2.3.4:5", "/a/b")


def test_docker_host_is_the_default(docker_host, monkeypatch, container):
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    assert len(Engine(timeout=30).container_state(container).id) == 64


@leaves_a_socket
def test_without_docker_host_the_default_socket(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("dockerexec_ws.engine.docker.DEFAULT_SOCKET", "/nonexistent/docker.sock")
    with pytest.raises(EngineUnavailableError, match=r"unix:///nonexistent/docker\.sock"):
        Engine(timeout=30)


@leaves_a_socket
@pytest.mark.parametrize("address", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"])
def test_an_engine_that_does_not_answer_is_named_with_what_to_do(address):
    with pytest.raises(EngineUnavailableError, match=address) as error:
        Engine(address, timeout=30)
    assert "--docker-host" in str(error.value)


def test_something_else_that_answers(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    with listener, pytest.raises(EngineUnavailableError, match="gave no answer within 1 s"):
        Engine(f"unix://{tmp_path / 's'}", timeout=1)


@pytest.mark.parametrize("address", ["ssh://host", "nonsense://x", "tcp://x:notaport"])
def test_an_address_that_makes_no_sense(address):
    with pytest.raises((SettingsError, EngineUnavailableError)):
        Engine(address, timeout=30)


def test_tls_settings_that_make_no_sense(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="TLS"):
        Engine("tcp://127.0.0.1:1", timeout=30)


def test_a_container_that_is_not_there(docker_host):
    with pytest.raises(ContainerNotFoundError, match="'nosuch'"):
        Engine(docker_host, timeout=30).container_state("nosuch")


@pytest.mark.parametrize("tls", [False, True])
def test_an_engine_behind_tcp(docker_host, container, monkeypatch, tmp_path, tls):
    with engine_behind_tcp(docker_host, monkeypatch, tmp_path, tls=tls) as engine:
        stream = engine.start_exec(engine.create_exec(container, ["cat"], environment=[], stdin=True), tty=False)
        stream.write([b"over tcp"])
        stream.half_close()
        received = b""
        while piece := stream.read():
            received += piece
        assert received[8:] == b"over tcp"
        stream.close()


@pytest.mark.parametrize("tls", [False, True])
def test_output_that_is_ended_while_its_reader_waits(docker_host, container, monkeypatch, tmp_path, tls):
    with engine_behind_tcp(docker_host, monkeypatch, tmp_path, tls=tls) as engine:
        stream = engine.start_exec(engine.create_exec(container, ["sleep", "1"], environment=[]), tty=False)
        reader = gevent.spawn(lambda: bytes(stream.read()))
        wait_until(lambda: stream.reading_since)
        stream.end_reading()
        assert reader.get(timeout=10) == b""
        stream.close()


@contextlib.contextmanager
def engine_behind_tcp(docker_host, monkeypatch, folder, *, tls):
    with engine_on_tcp(docker_host, folder if tls else None) as address:
        if tls:
            monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
            monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
            for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # these override the engine's certificates
                monkeypatch.delenv(name, raising=False)
        yield Engine(address, timeout=30)


@contextlib.contextmanager
def engine_on_tcp(docker_host, certificates=None):
    """Offer the engine's unix socket on a TCP port, optionally with TLS; half-closes are passed on."""
    options = {}
    if certificates is not None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(certificates / "ca.pem")
        client = authority.issue_cert("client")
        client.cert_chain_pems[0].write_to_path(certificates / "cert.pem")
        client.private_key_pem.write_to_path(certificates / "key.pem")
        options["ssl_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Like Go's TLS in the engine, take an end between two records as an end, even without a close_notify.
        options["ssl_context"].options |= 0x80  # SSL_OP_IGNORE_UNEXPECTED_EOF
        authority.issue_cert("127.0.0.1").configure_cert(options["ssl_context"])
    server = relay(docker_host.removeprefix("unix://"), **options)
    server.start()
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.stop(timeout=0)


def test_any_number_of_names_can_be_asked_for(docker_host, container):
    """docker-py keeps connections for 25 URLs. Those that all sessions use must not be closed for others."""
    engine = Engine(docker_host, timeout=10)
    for number in range(30):
        with pytest.raises(ContainerNotFoundError):
            engine.container_state(f"no-such-container-{number}")
        assert engine.create_exec(container, ["true"], environment=[])
    engine.close()


def test_the_headers_of_dockers_configuration_are_sent(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"HttpHeaders": {"X-Auth": "of the proxy"}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with StandInEngine(tmp_path / "s") as standin, contextlib.closing(Engine(standin.address, timeout=10)) as engine:
        engine.container_state("c")
        engine.create_exec("c", ["true"], environment=[])
        engine.exec_state("e0")
        with pytest.raises(EngineUnavailableError):
            next(ended_execs(engine))  # the stand-in tells of none
    asked = {target for target, _ in standin.headers}
    assert len(asked) == 5
    assert {target for target, header in standin.headers if header == "X-Auth: of the proxy"} == asked
