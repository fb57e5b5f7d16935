"""The files of the server's certificate: reloading and mistakes."""

import signal

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dockerexec_ws import SettingsError
from tests.conftest import wait_until
from tests.peer import Peer, Transcript
from tests.serve.tls import certificate_of
from tests.settings.command import covered_running as running


def test_reload(tls_server, files):
    """New connections get the new certificate. A running session keeps the old one."""
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
        assert process.communicate(timeout=20) == ("", "")
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
    """OpenSSL must not prompt for the password on a terminal."""
    key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(SettingsError, match="password"):
        serve(**files.options)
