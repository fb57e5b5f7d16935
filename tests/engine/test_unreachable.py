"""An engine that cannot be reached: the server explains each cause and says what to do."""

import contextlib
import errno
import json
import os
import resource
import socket
import ssl
import subprocess
import sys

import pytest
import trustme

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.errors import EngineUnavailableError
from dockerexec_ws.serve.http_server import HttpServer

VERSION = json.dumps({"ApiVersion": "1.41", "MinAPIVersion": "1.12"}).encode()


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def listen():
    """A function that starts an HTTP server that gives every request the same answer; returns its address."""
    with contextlib.ExitStack() as stack:

        def start(body=VERSION, status="200 OK", *, certificate=None, clients=None):
            def application(_, start_response):
                start_response(status, [("Content-Type", "application/json")])
                return [body]

            server = HttpServer(("127.0.0.1", 0), application, log=None, error_log=None)
            if certificate is not None:
                server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                certificate.configure_cert(server.tls)
                if clients is not None:
                    clients.configure_trust(server.tls)
                    server.tls.verify_mode = ssl.CERT_REQUIRED
            server.start()
            stack.callback(server.stop)
            return f"tcp://127.0.0.1:{server.server_port}"

        yield start


@pytest.fixture
def tls(tmp_path, monkeypatch, authority):
    """A function that makes the environment name a folder of certificates."""

    def use(trusted=authority, own=authority):
        trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
        certificate = own.issue_cert("client")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    return use


def words(address, timeout=10.0):
    with pytest.raises(EngineUnavailableError) as error:
        Engine(address, timeout=timeout)
    return str(error.value)


def test_the_engines_authority_counts_whatever_the_environment_says(tls, listen, authority, monkeypatch, tmp_path):
    tls()
    other = tmp_path / "company.pem"
    trustme.CA().cert_pem.write_to_path(other)
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(variable, str(other))
    address = listen(certificate=authority.issue_cert("127.0.0.1"), clients=authority)
    with contextlib.closing(Engine(address, timeout=10.0)) as engine:
        assert engine.api.api_version == "1.41"


def test_a_certificate_that_nobody_vouches_for(tls, listen):
    tls()
    text = words(listen(certificate=trustme.CA().issue_cert("127.0.0.1")))
    assert "is not vouched for by ca.pem" in text
    assert "DOCKER_CERT_PATH" in text


def test_a_certificate_for_other_names(tls, listen, authority):
    tls()
    text = words(listen(certificate=authority.issue_cert("engine.example", "10.1.2.3")))
    assert "was made for other names" in text
    assert "engine.example" in text
    assert "10.1.2.3" in text


def test_our_certificate_is_refused(tls, listen, authority):
    tls(own=trustme.CA())
    text = words(listen(certificate=authority.issue_cert("127.0.0.1"), clients=authority))
    assert "refused our certificate" in text


def test_tls_where_there_is_none(tls, listen):
    tls()
    assert "does not speak TLS" in words(listen())


def test_no_tls_where_it_is_needed(listen, authority):
    text = words(listen(certificate=authority.issue_cert("127.0.0.1")))
    assert "broke off the connection" in text
    assert "DOCKER_TLS_VERIFY" in text


def test_nobody_listens(tmp_path):
    assert "connection refused" in words("tcp://127.0.0.1:1")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "s"))
    assert "connection refused" in words(f"unix://{tmp_path}/s")
    assert "There is no engine's socket" in words(f"unix://{tmp_path}/none")


def test_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "no answer within 0.5 s" in words(f"tcp://127.0.0.1:{silent.getsockname()[1]}", timeout=0.5)


def test_a_name_that_cannot_be_resolved():
    assert "cannot be resolved" in words("tcp://no-such-host.invalid:2375")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
def test_no_permission(tmp_path):
    program = """
import os, sys
from gevent import monkey; monkey.patch_all()
from dockerexec_ws.engine.docker import Engine
os.setuid(65534)
try:
    Engine(sys.argv[1], timeout=5.0)
except Exception as error:
    print(error)
"""
    tmp_path.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        (tmp_path / "s").chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", program, f"unix://{tmp_path}/s"], capture_output=True, text=True, timeout=30
        )
    assert "This user may not use the engine's socket" in done.stdout, done.stderr
    assert "docker" in done.stdout


def test_an_engine_that_is_too_old(listen):
    assert "too old" in words(listen(json.dumps({"ApiVersion": "1.12"}).encode()))


def test_what_is_no_engine(listen):
    assert "is no Docker Engine" in words(listen(b"hello"))
    assert "refused to tell its version (403)" in words(listen(b"no", "403 Forbidden"))


def test_no_descriptors_are_left(monkeypatch):
    def connect(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket.socket, "connect", connect)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert words("tcp://127.0.0.1:1") == f"the server has no file descriptors left (limit {limit})"
