"""The servers that carry a request to the application. They differ in how they hand over a connection, and when.

``carrier_of`` is the only place that tells them apart.
"""

import contextlib
import socket
from typing import Any, NoReturn

from dockerexec_ws.access.identity import Environ
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.net.buffers import buffered
from dockerexec_ws.web.handler import HANDLER, Handler


class Carrier:
    """What the application needs of the server that carries a request. This one cannot serve WebSockets."""

    upgraded = False
    """Whether the server upgraded the connection before it called the application: then no HTTP answer is possible."""

    _socket: socket.socket | None = None

    @property
    def local_address(self) -> str:
        """The IP address at which the connection arrived; "" if it is unknown, or a unix socket's."""
        if self._socket is not None and self._socket.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # the client has gone
                return str(self._socket.getsockname()[0])
        return ""

    def limit_answer(self, seconds: float) -> None:
        """Give the client *seconds* to take the answer, if the server can measure that."""

    def take_socket(self) -> tuple[socket.socket, bytes]:
        """Take the connection from the server, with the bytes that it read ahead. Raises RefusedError."""
        raise RefusedError(
            500,
            "This server cannot serve WebSockets: run it with gunicorn's gevent worker, or give gevent's WSGIServer "
            "handler_class=dockerexec_ws.Handler.",
        )

    def finish(self) -> list[bytes]:
        """Return what the application returns after the connection's end. The server then sends nothing more.

        Raises StopIteration if that is the server's sign for it.
        """
        return []


class PywsgiCarrier(Carrier):
    """gevent's WSGIServer with ``Handler``."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._socket = handler.socket

    def limit_answer(self, seconds: float) -> None:  # noqa: D102
        self._handler.answer_timeout = seconds

    def take_socket(self) -> tuple[socket.socket, bytes]:  # noqa: D102
        return self._handler.take_socket()


class GunicornCarrier(Carrier):
    """gunicorn with its gevent worker."""

    _socket: socket.socket

    def __init__(self, sock: socket.socket, body: Any) -> None:
        self._socket = sock
        self._body = body

    def take_socket(self) -> tuple[socket.socket, bytes]:  # noqa: D102
        return self._socket, self._body.reader.unreader.take_buffered()

    def finish(self) -> NoReturn:  # noqa: D102
        raise StopIteration


class GeventWebSocketCarrier(Carrier):
    """gevent-websocket's handler or gunicorn worker, which upgrades before it calls the application."""

    upgraded = True

    _socket: socket.socket

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket
        self._socket = websocket.handler.socket

    def take_socket(self) -> tuple[socket.socket, bytes]:  # noqa: D102
        self._websocket.closed = True  # or the handler would send a close frame of its own
        return self._socket, buffered(self._websocket.handler.rfile, self._socket)


def carrier_of(environ: Environ) -> Carrier:
    """Return the carrier of a request."""
    if HANDLER in environ:
        return PywsgiCarrier(environ[HANDLER])
    if "wsgi.websocket" in environ:
        return GeventWebSocketCarrier(environ["wsgi.websocket"])
    if "gunicorn.socket" in environ:
        return GunicornCarrier(environ["gunicorn.socket"], environ.get("wsgi.input"))
    return Carrier()
