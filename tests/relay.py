"""Offer an engine on a TCP port; ``python -m tests.relay HOST SOCKET`` prints its address."""

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import contextlib
import socket
import sys

import gevent
from gevent.server import StreamServer


def relay(socket_path, host="127.0.0.1", note=None, **options):
    """Make a server without starting it. It passes on half-closes; *note* gets each request's method and target."""

    def serve(client, _address):
        with client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(socket_path)
            look = Requests(note).feed if note else None
            gevent.joinall([gevent.spawn(_copy, client, engine, look), gevent.spawn(_copy, engine, client)])

    return StreamServer((host, 0), serve, **options)


class Requests:
    """Finds the requests in a client's bytes, up to the start of an exec: the bytes after it are stdin."""

    def __init__(self, note):
        self._note = note
        self._data = b""
        self._hijacked = False

    def feed(self, data):
        self._data += data
        while not self._hijacked and b"\r\n\r\n" in self._data:
            head, _, rest = self._data.partition(b"\r\n\r\n")
            line, *headers = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value for name, _, value in (header.partition(": ") for header in headers)}
            assert "transfer-encoding" not in fields
            length = int(fields.get("content-length", 0))
            if len(rest) < length:
                return
            method, target, _ = line.split()
            self._note(method, target)
            self._data = rest[length:]
            self._hijacked = "upgrade" in fields
        if self._hijacked:
            self._data = b""


def _copy(source, target, look=None):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if look is not None:
                look(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    server = relay(sys.argv[2], sys.argv[1])
    server.start()
    sys.stdout.write(f"tcp://{sys.argv[1]}:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
