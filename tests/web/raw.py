"""Requests sent exactly as a test gives them."""

import socket
from urllib.parse import urlsplit

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PROPER = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def ask(url, request_line="GET /x?command=true HTTP/1.1", **changes):
    """Send a request unchanged; return the status, the headers by lower-case name, and the body."""
    headers = PROPER | {name.replace("_", "-"): value for name, value in changes.items()}
    head = request_line + "".join(f"\r\n{name}: {value}" for name, value in headers.items() if value is not None)
    return exchange(url, head.encode("latin-1") + b"\r\n\r\n")


def exchange(url, data):
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=15) as sock:
        sock.sendall(data)
        reader = sock.makefile("rb")
        with reader:
            status = int(reader.readline().split()[1])
            headers = {}
            while line := reader.readline().strip():
                name, value = line.decode().split(": ", 1)
                headers[name.lower()] = value
            length = 0 if data.startswith(b"HEAD ") else int(headers.get("content-length", 0))
            body = reader.read(length)
    return status, headers, body
