"""Opening handshakes as bytes, and their answers."""

import base64
import socket
from urllib.parse import urlsplit

from dockerexec_ws.access.bearer import TOKEN_SUBPROTOCOL


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


def encoded(token):
    return TOKEN_SUBPROTOCOL + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def request(url, headers=(), host=None):
    """The bytes of a valid request with *headers*."""
    parts = urlsplit(url)
    lines = [
        f"GET {parts.path}?command=true HTTP/1.1",
        f"Host: {parts.netloc if host is None else host}",
        *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def answer_to(url, headers=(), host=None, source="127.0.0.1"):
    """Send a request from the address *source*; return the status, the headers by lower-case name, and the body."""
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=15, source_address=(source, 0)) as sock,
        sock.makefile("rb") as reader,
    ):
        sock.sendall(request(url, headers, host))
        status = int(reader.readline().split()[1])
        pairs = [line.decode().strip().split(": ", 1) for line in iter(reader.readline, b"\r\n")]
        found = {name.lower(): value for name, value in pairs}
        return status, found, reader.read(int(found.get("content-length", 0)))


def status_of(*arguments, **options):
    return answer_to(*arguments, **options)[0]
