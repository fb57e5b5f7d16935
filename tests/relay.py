"""An engine offered on a TCP port; ``python -m tests.relay HOST SOCKET`` tells its address as a machine."""

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import contextlib
import socket
import sys

import gevent
from gevent.server import StreamServer


def relay(socket_path, host="127.0.0.1", **options):
    """A server, not started yet; half-closes are passed on."""

    def serve(client, _address):
        with client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(socket_path)
            gevent.joinall([gevent.spawn(_copy, client, engine), gevent.spawn(_copy, engine, client)])

    return StreamServer((host, 0), serve, **options)


def _copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    server = relay(sys.argv[2], sys.argv[1])
    server.start()
    sys.stdout.write(f"tcp://{sys.argv[1]}:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
