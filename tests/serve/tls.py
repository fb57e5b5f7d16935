"""Certificates made by the tests, and connections over TLS."""

import contextlib
import socket
import ssl
from urllib.parse import urlsplit

import trustme

from tests.peer import Peer, Transcript


class Files:
    """A private certificate authority, and files with a server certificate that it issued and the key."""

    def __init__(self, folder):
        self.ca = trustme.CA()
        self.certfile = str(folder / "cert.pem")
        self.keyfile = str(folder / "key.pem")
        self.renew()

    def renew(self):
        """Write a new certificate to the same files; `der` is its form that clients see."""
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
        """Return a client's context that trusts the authority."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


def address_of(server):
    parts = urlsplit(server.url)
    return parts.hostname, parts.port


@contextlib.contextmanager
def connected(server, context):
    """Return a connection after its TLS handshake."""
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
