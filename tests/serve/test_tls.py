"""The server's own TLS: sessions over it, and clients that do not speak TLS."""

import contextlib
import hashlib
import socket
import ssl
import warnings

import gevent
import pytest

from tests.conftest import wait_until
from tests.peer import HandshakeError, Peer, Transcript
from tests.serve.tls import address_of, connected, true


def drained(sock):
    """Wait until the server has ended the connection."""
    sock.settimeout(None)  # otherwise a TimeoutError, which is an OSError, would pass for an end
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
    """A full socket cuts a write short. The server then writes the rest."""
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
    """The client sends no close_notify. The `container` fixture checks that no process is left."""
    with Peer(tls_server.url, "bash", "-c", "echo up; sleep 1000", ssl_context=files.client()) as peer:
        peer.until(b"up\n")
    wait_until(lambda: not tls_server.sessions)


def test_the_server_goes(tls_server, files):
    with Peer(tls_server.url, "sleep", "1000", ssl_context=files.client()).ready() as peer:
        reader = gevent.spawn(Transcript, peer)
        tls_server.close()
        assert reader.get(timeout=10).messages == [b"\xc9"]
        assert reader.get().close_code == 1001


def test_pings_and_the_idle_timeout(serve, files):
    """The bytes that TLS adds to pings are not activity."""
    server = serve(**files.options, ping_interval=0.1, idle_timeout=1)
    with Peer(server.url, "sleep", "1000", ssl_context=files.client()).ready() as peer:
        transcript = Transcript(peer)
    assert transcript.close_code == 1008
    assert transcript.errors[0].startswith("session limit: ")


def test_a_peer_that_answers_no_pings(serve, files):
    server = serve(**files.options, ping_interval=0.2, ping_timeout=0.3)
    with Peer(server.url, "sleep", "1000", ssl_context=files.client()).ready():  # the peer reads nothing from here on
        wait_until(lambda: not server.sessions)


def test_the_same_origin(tls_server, files):
    own = [("Origin", tls_server.url.replace("wss:", "https:").removesuffix("/x"))]
    with Peer(tls_server.url, "true", ssl_context=files.client(), headers=own) as peer:
        assert Transcript(peer).exit_code == 0
    with pytest.raises(HandshakeError, match="403"):
        Peer(tls_server.url, "true", ssl_context=files.client(), headers=[("Origin", "https://evil.example")])


# Peers that do not speak TLS as they should


def test_tls_1_1_is_refused(tls_server, files):
    context = files.client()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")  # otherwise the client itself would refuse
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
    """There are many such handshakes, some of them begun."""
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
