"""Clients' certificates."""

import json
import ssl
from datetime import UTC, datetime

import pytest
import trustme

from tests.conftest import wait_until
from tests.peer import HandshakeError, Peer
from tests.serve.tls import connected, true


@pytest.fixture
def client_ca(tmp_path):
    """A certificate authority for clients."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    return ca


def test_a_clients_certificate_tells_who_it_is(serve, files, client_ca, tmp_path):
    server = serve(**files.options, client_ca=str(tmp_path / "clients.pem"), audit_log=tmp_path / "audit")
    names = []
    server.subscribe("session", lambda session: names.append(session.client.name))
    context = files.client()
    client_ca.issue_cert("alice@a.example", common_name="alice").configure_cert(context)
    assert true(server.url, context) == 0
    context = files.client()
    client_ca.issue_cert("bob.a.example").configure_cert(context)  # without a common name
    assert true(server.url, context) == 0
    assert names == ["alice", "bob.a.example"]
    wait_until(lambda: len((tmp_path / "audit").read_text().splitlines()) == 4)
    lines = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert {line["identity"] for line in lines} == {"alice", "bob.a.example"}


def test_without_a_certificate(serve, files, client_ca, tmp_path):
    server = serve(**files.options, client_ca=str(tmp_path / "clients.pem"))
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url, "true", ssl_context=files.client())
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_of_another_authority(serve, files, client_ca, tmp_path, caplog, version):
    """With TLS 1.3 a client learns of the refusal at its first read."""
    server = serve(**files.options, client_ca=str(tmp_path / "clients.pem"))
    context = files.client()
    context.maximum_version = version
    trustme.CA().issue_cert("alice@a.example", common_name="alice").configure_cert(context)
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"), connected(server, context) as sock:
        sock.recv(1)
    assert not server.sessions
    assert "Traceback" not in caplog.text


def test_a_certificate_that_has_expired(serve, files, client_ca, tmp_path):
    server = serve(**files.options, client_ca=str(tmp_path / "clients.pem"))
    context = files.client()
    expired = client_ca.issue_cert("a@a.example", common_name="alice", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    expired.configure_cert(context)
    with pytest.raises(ssl.SSLError, match="EXPIRED"), connected(server, context) as sock:
        sock.recv(1)
