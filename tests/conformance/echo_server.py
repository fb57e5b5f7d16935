"""An echo server on the WebSocket layer, for the Autobahn suite: a plain WSGI application under gevent's pywsgi."""
# ruff: noqa: E402, T201

from gevent import monkey

monkey.patch_all()

import argparse
import contextlib
import functools
import logging

from gevent.pywsgi import WSGIServer

from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.errors import ConnectionClosedError
from dockerexec_ws.web.carriers import carrier_of
from dockerexec_ws.web.handler import Handler
from dockerexec_ws.web.upgrade import upgrade

MAX_SIZE = 32 * 1024 * 1024  # bytes; the suite's largest message has 16 MiB


def echo(environ, start_response, *, compress):
    """The WSGI application, which echoes every message with its type."""
    carrier = carrier_of(environ)
    try:
        websocket = upgrade(environ, carrier, max_size=MAX_SIZE, compress=compress, ping_interval=0, ping_timeout=20)
    except RefusedError as refusal:
        start_response(refusal.status, refusal.headers)
        return [refusal.body]
    with contextlib.suppress(ConnectionClosedError):
        while (message := websocket.receive()) is not None:
            websocket.send(message)
    websocket.close()
    return carrier.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="0 takes a free one")
    parser.add_argument("--compress", action="store_true", help="use permessage-deflate with a peer that offers it")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)  # to stderr
    application = functools.partial(echo, compress=arguments.compress)
    server = WSGIServer(("127.0.0.1", arguments.port), application, handler_class=Handler)
    server.start()
    print(f"listening on ws://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
