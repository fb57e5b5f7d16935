"""TLS of the server's own: sessions over it, peers that do not speak it, new certificates, clients' certificates."""

import contextlib
import hashlib
import json
import signal
import socket
import ssl
import warnings
from datetime import UTC, datetime
from urllib.parse import urlsplit

import gevent
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dockerexec_ws import SettingsError
from tests.conftest import wait_until
from tests.peer import HandshakeError, Peer, Transcript
from tests.settings.test_cli import running


class Files:
    """An authority of the test's own, and the server's certificate and key by it, in files."""

    def __init__(self, folder):
        self.ca = trustme.CA()
        self.certfile = str(folder / "cert.pem")
        self.keyfile = str(folder / "key.pem")
        self.renew()

    def renew(self):
        """A new certificate in the same files; `der` is how clients see it."""
        certificate = self.ca.issue_cert("127.0.0.1")
        chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
        with open(self.certfile, "wb") as file:
            file.write(chain)
        certificate.private_key_pem.write_to_path(self.keyfile)
        self.der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())

    @property
    def options(self):
        return {"certfile": self.certfile, "keyfile": self.keyfile}

    def client(self):
        """A client's context, which trusts the authority."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def tls_server(serve, files):
    return serve(**files.options)


def address_of(server):
    parts = urlsplit(server.url)
    return parts.hostname, parts.port


@contextlib.contextmanager
def connected(server, context):
    """A connection after its TLS handshake."""
    with (
        socket.create_connection(address_of(server), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
    ):
        yield sock


def certificate_of(peer):
    return peer.socket.getpeercert(binary_form=True)


def true(url, context):
    with Peer(url, "true", ssl_context=context) as peer:
        return Transcript(peer).exit_code


def drained(sock):
    """Wait until the server has ended the connection."""
    sock.settimeout(None)  # or its TimeoutError, an OSError, would pass for an end
    with contextlib.suppress(OSError), gevent.Timeout(10, AssertionError("the server keeps the connection")):
        while sock.recv(65536):
            pass


# Sessions


def test_the_url_is_wss(tls_server, files):
    assert tls_server.url.startswith("wss://127.0.0.1:")
    assert true(tls_server.url, files.client()) == 0


def test_a_certificate_that_the_client_does_not_know(tls_server):
    with pytest.raises(ssl.SSLCertVerificationError):
        Peer(tls_server.url, "true", ssl_context=ssl.create_default_context())


def test_much_output(tls_server, files):
    command = "head -c 20000000 /dev/urandom | tee >(sha256sum >&2)"
    with Peer(tls_server.url, "bash", "-c", command, ssl_context=files.client()) as peer:
        transcript = Transcript(peer)
    assert len(transcript.stdout) == 20_000_000
    assert transcript.stderr.split()[0].decode() == hashlib.sha256(transcript.stdout).hexdigest()
    assert (transcript.exit_code, transcript.close_code) == (0, 1000)


def test_a_client_that_reads_slowly_loses_nothing(tls_server, files):
    """A write is cut short by a full socket, and goes on with the rest."""
    context = files.client()
    with Peer(tls_server.url, "seq", "1000000", ssl_context=context, receive_buffer=4096).ready() as peer:
        gevent.sleep(0.5)
        transcript = Transcript(peer)
    assert hashlib.sha256(transcript.stdout).digest() == hashlib.sha256(seq(1_000_000)).digest()
    assert transcript.exit_code == 0


def seq(last):
    return "".join(f"{number}\n" for number in range(1, last + 1)).encode()


def test_stdin_and_its_end(tls_server, files):
    size = 5_000_000
    with Peer(tls_server.url, "sha256sum", ssl_context=files.client()).ready() as peer:
        for _ in range(size // 500_000):
            peer.stdin(bytes(500_000))
        peer.end()
        transcript = Transcript(peer)
    assert transcript.stdout.split()[0].decode() == hashlib.sha256(bytes(size)).hexdigest()
    assert transcript.exit_code == 0


def test_input_that_comes_with_the_request(tls_server, files):
    early = b"\x82\x86" + bytes(4) + b"\x00early"
    with Peer(tls_server.url, "cat", ssl_context=files.client(), send_at_once=early).ready() as peer:
        peer.end()
        assert Transcript(peer).stdout == b"early"


def test_a_client_that_vanishes(tls_server, files):
    """Without a close_notify; the `container` fixture sees that no process is left."""
    with Peer(tls_server.url, "bash", "-c", "echo up; sleep 1000", ssl_context=files.client()) as peer:
        peer.until(b"up\n")
    wait_until(lambda: not tls_server.sessions)


def test_the_server_goes(tls_server, files):
    with Peer(tls_server.url, "sleep", "1000", ssl_context=files.client()).ready() as peer:
        reader = gevent.spawn(Transcript, peer)
        tls_server.close()
        assert reader.get(timeout=5).messages == [b"\xc9"]
        assert reader.get().close_code == 1001


def test_pings_and_the_idle_timeout(serve, files):
    """What TLS adds to pings is no activity."""
    server = serve(**files.options, ping_interval=0.1, idle_timeout=1)
    with Peer(server.url, "sleep", "1000", ssl_context=files.client()).ready() as peer:
        transcript = Transcript(peer)
    assert transcript.close_code == 1008
    assert transcript.errors[0].startswith("session limit: ")


def test_a_peer_that_answers_no_pings(serve, files):
    server = serve(**files.options, ping_interval=0.2, ping_timeout=0.3)
    with Peer(server.url, "sleep", "1000", ssl_context=files.client()).ready():  # which reads nothing from here on
        wait_until(lambda: not server.sessions)


def test_the_same_origin(tls_server, files):
    own = [("Origin", tls_server.url.replace("wss:", "https:").removesuffix("/x"))]
    with Peer(tls_server.url, "true", ssl_context=files.client(), headers=own) as peer:
        assert Transcript(peer).exit_code == 0
    with pytest.raises(HandshakeError, match="403"):
        Peer(tls_server.url, "true", ssl_context=files.client(), headers=[("Origin", "https://evil.example")])


# Peers that do not speak it as they should


def test_tls_1_1_is_refused(tls_server, files):
    context = files.client()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")  # or the client itself would not
    with pytest.raises(ssl.SSLError) as refused, socket.create_connection(address_of(tls_server), timeout=10) as sock:
        context.wrap_socket(sock, server_hostname="127.0.0.1")
    if refused.value.reason in ("NO_PROTOCOLS_AVAILABLE", "UNSUPPORTED_PROTOCOL", "NO_CIPHERS_AVAILABLE"):
        pytest.skip("the client's OpenSSL cannot speak TLS 1.1")
    assert refused.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert true(tls_server.url, files.client()) == 0


def test_who_speaks_no_tls_harms_nobody(tls_server, files, capfd, caplog):
    with Peer(tls_server.url, "cat", ssl_context=files.client()).ready() as peer:
        for said in (
            b"GET /x?command=true HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"\x16\x03\x01\xff\xff" + bytes(100),
            b"",
        ):
            with socket.create_connection(address_of(tls_server), timeout=10) as sock:
                sock.sendall(said)
                sock.shutdown(socket.SHUT_WR)
                drained(sock)
        peer.stdin(b"still here")
        peer.end()
        assert Transcript(peer).stdout == b"still here"
    assert true(tls_server.url, files.client()) == 0
    assert "Traceback" not in capfd.readouterr().err + caplog.text


def test_a_handshake_that_does_not_end_is_dropped_and_holds_up_nobody(serve, files, capfd, caplog):
    """Many of them, of which each says a little now and then."""
    server = serve(**files.options, handshake_timeout=1)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(address_of(server), timeout=10)) for _ in range(20)]
        for sock in slow[:10]:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert true(server.url, files.client()) == 0
        for sock in slow:
            drained(sock)
    assert true(server.url, files.client()) == 0
    assert "Traceback" not in capfd.readouterr().err + caplog.text


def test_a_request_after_the_handshake_that_does_not_end_is_dropped(serve, files, capfd):
    server = serve(**files.options, handshake_timeout=1)
    with connected(server, files.client()) as sock:
        sock.sendall(b"GET /x?command=true HT")
        drained(sock)
    assert "Traceback" not in capfd.readouterr().err


# New certificates


def test_reload(tls_server, files):
    """New connections get the new certificate; a running session goes on with the old one."""
    former = files.der
    with Peer(tls_server.url, "cat", ssl_context=files.client()).ready() as running_session:
        assert certificate_of(running_session) == former
        files.renew()
        tls_server.reload()
        with Peer(tls_server.url, "true", ssl_context=files.client()) as peer:
            assert certificate_of(peer) == files.der != former
            assert Transcript(peer).exit_code == 0
        running_session.stdin(b"goes on")
        running_session.end()
        assert Transcript(running_session).stdout == b"goes on"


@pytest.mark.parametrize("broken", ["certfile", "keyfile"])
def test_what_cannot_be_read_changes_nothing(tls_server, files, broken):
    with open(files.options[broken], "w") as file:
        file.write("no PEM")
    with pytest.raises(SettingsError, match="TLS files cannot be used"):
        tls_server.reload()
    with Peer(tls_server.url, "true", ssl_context=files.client()) as peer:
        assert certificate_of(peer) == files.der
        assert Transcript(peer).exit_code == 0


def test_reload_without_tls_is_nothing(server):
    server.reload()


def test_sighup(docker_host, container, files):
    arguments = ("--container", container, "--port", "0", "--certfile", files.certfile, "--keyfile", files.keyfile)

    def certificate():
        with Peer(url, "true", ssl_context=files.client()) as peer:
            found = certificate_of(peer)
            assert Transcript(peer).exit_code == 0
            return found

    with running(*arguments, DOCKER_HOST=docker_host) as (process, url):
        assert url.startswith("wss://")
        with Peer(url, "cat", ssl_context=files.client()).ready() as peer:
            files.renew()
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: certificate() == files.der)
            with open(files.certfile, "w") as file:
                file.write("no PEM")
            process.send_signal(signal.SIGHUP)
            assert "the TLS files were not reloaded" in process.stderr.readline()
            assert certificate() == files.der
            peer.stdin(b"goes on")
            peer.end()
            assert Transcript(peer).stdout == b"goes on"
        process.terminate()
        assert process.communicate(timeout=5) == ("", "")
        assert process.returncode == 0


def test_sighup_without_tls_ends_nothing(docker_host, container):
    with running("--container", container, "--port", "0", DOCKER_HOST=docker_host) as (process, url):
        process.send_signal(signal.SIGHUP)
        with Peer(url, "true") as peer:
            assert Transcript(peer).exit_code == 0
        assert process.poll() is None


@pytest.mark.parametrize("options", [{"certfile": "c"}, {"keyfile": "k"}, {"client_ca": "a"}])
def test_half_of_what_is_needed(serve, options):
    with pytest.raises(SettingsError, match="come together"):
        serve(**options)


def test_a_key_with_a_password(serve, files, tmp_path):
    """Nobody is asked for it on a terminal."""
    key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(SettingsError, match="password"):
        serve(**files.options)


# Clients' certificates


@pytest.fixture
def client_ca(tmp_path):
    """An authority for clients."""
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
    """Of TLS 1.3 a client hears of it with its first read."""
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
