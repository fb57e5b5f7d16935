"""The one way from a WSGI request to a WebSocket, whichever server the request came through.

- gevent's pywsgi with ``Handler`` (a gevent-websocket handler): the handler gives its socket away;
- gunicorn's stock gevent worker: the socket is in the environ;
- gunicorn with gevent-websocket's worker: that has upgraded already; its socket is taken over.
"""

import contextlib
import errno
import http
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from http.client import HTTPException

import gevent
from geventwebsocket.handler import WebSocketHandler
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from dockerexec_ws.access.identity import LOCAL_ADDRESS, PEER_CERTIFICATE, SUBPROTOCOL, Environ
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.frameless import frameless_logger
from dockerexec_ws.net.buffers import buffered
from dockerexec_ws.net.websocket import WebSocket

ANSWER_TIMEOUT = "dockerexec_ws.answer_timeout"
"""A request's key in the environ for the seconds within which the client has to take the answer."""

_TAKE_SOCKET = "dockerexec_ws.take_socket"
_VERSION = "13"
_LONGEST_LINE = 8192  # bytes; pywsgi answers 414 from here on
_SWITCHED = b"101 Switching Protocols"


class Handler(WebSocketHandler):  # type: ignore[misc]  # it has no types
    """The handler class for gevent's WSGIServer: leaves it to the application whether to upgrade, and when."""

    request_timeout = 10.0
    """Seconds within which a request's head has to be complete; a subclass may set others."""

    # Not the property of the base class, which sets up logging for the whole process.
    logger = logging.getLogger("dockerexec_ws.requests")

    def __init__(self, sock: socket.socket, address: object, server: object) -> None:
        super().__init__(sock, address, server)
        self.rfile = sock.makefile("rb", 2048)  # each session keeps it; a request's head, with its cookies, mostly fits

    def handle(self) -> None:
        """Handle all requests of the connection."""
        with contextlib.suppress(ConnectionError):  # the peer did not wait for the answer to what was no request
            super().handle()

    def read_requestline(self) -> str:
        """Read the request's first line; request_timeout runs from here on, for the whole head."""
        self._deadline = gevent.Timeout.start_new(
            self.request_timeout, TimeoutError("the request's head took too long")
        )
        try:
            line = str(super().read_requestline())
        except BaseException:
            self._deadline.close()
            raise
        if not line or len(line) >= _LONGEST_LINE:  # read_request will not be called
            self._deadline.close()
        return line

    def read_request(self, raw_requestline: str) -> bool:
        """Read the rest of the request's head."""
        try:
            return bool(super().read_request(raw_requestline))
        except (OSError, HTTPException):  # a peer that is late, gone, or says too much: pywsgi would log a traceback
            return False
        finally:
            self._deadline.close()

    def log_error(self, *_: object) -> None:
        """Log what is no proper request, but none of its bytes: they are a stranger's, or a secret with a slip."""
        self.logger.info("%s: no proper request", self.client_address)

    def log_request(self) -> None:
        """Log a request that did not become a session; without its path and query, which may be secrets.

        Nor with a method that is none: those are a stranger's bytes, too, control characters included.
        """
        if self.status != _SWITCHED:
            method = self.command if self.command in http.HTTPMethod.__members__ else "unknown method"
            self.logger.info("%s %s: %s", self.client_address, method, self.status)

    def get_environ(self) -> Environ:
        """Return the request's environ, with where the connection arrived and the peer's certificate, if it has one."""
        environ: Environ = super().get_environ()
        with contextlib.suppress(OSError):  # it is gone already
            environ[LOCAL_ADDRESS] = self.socket.getsockname()[0]
        if isinstance(self.socket, ssl.SSLSocket):
            environ["wsgi.url_scheme"] = "https"
            environ[PEER_CERTIFICATE] = self.socket.getpeercert()
        return environ

    def process_result(self) -> None:
        """Send the application's answer, by the deadline that it may have set."""
        # Of a kind that is a peer's fault for pywsgi: no traceback is logged.
        late = ConnectionResetError(errno.ECONNRESET, "the client did not take the answer in time")
        with gevent.Timeout(self.environ.get(ANSWER_TIMEOUT), late):
            super().process_result()

    def upgrade_websocket(self) -> None:
        """Instead of upgrading at once, let the application do it by ``upgrade``."""
        self.environ[_TAKE_SOCKET] = self._take_socket

    def _take_socket(self) -> tuple[socket.socket, bytes]:
        self.close_connection = True
        self.status = _SWITCHED
        self.headers_sent = True  # there is no response left to send
        return self.socket, buffered(self.rfile, self.socket)


def note_local_address(environ: Environ) -> None:
    """Note where the connection arrived, for servers other than ``Handler``'s, which do not tell."""
    if LOCAL_ADDRESS not in environ:
        upgraded = environ.get("wsgi.websocket")
        sock = environ.get("gunicorn.socket") if upgraded is None else upgraded.handler.socket
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):  # it is gone already
                environ[LOCAL_ADDRESS] = sock.getsockname()[0]


def upgrade(environ: Environ, *, max_size: int, compress: bool, ping_interval: float, ping_timeout: float) -> WebSocket:
    """Answer the opening handshake and return the open connection.

    *max_size* limits a message, in bytes; a compressed one by what it unfolds to. With *compress*, permessage-deflate
    (RFC 7692) is used with a peer that offers it. After the connection's end the application has to return
    ``end_of_request(environ)``. Raises RefusedError: nothing was answered yet.
    """
    # Its parser is for frames only: the server has read the request.
    protocol = ServerProtocol(state=State.OPEN, max_size=max_size, logger=frameless_logger)
    upgraded = environ.get("wsgi.websocket")
    if upgraded is not None:
        sock = upgraded.handler.socket
        early = buffered(upgraded.handler.rfile, sock)
        upgraded.closed = True  # or its handler would append a close frame
    else:
        extensions = enable_server_permessage_deflate(None) if compress else None
        handshake = ServerProtocol(
            extensions=extensions, select_subprotocol=_select_subprotocol, logger=frameless_logger
        )
        response = handshake.accept(_request(environ))
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            raise _refusal(environ, response)
        sock, early = _find_socket(environ)
        protocol.extensions = handshake.extensions
        protocol.writes.append(response.serialize())
    return WebSocket(sock, protocol, early=early, ping_interval=ping_interval, ping_timeout=ping_timeout)


def _select_subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Answer a client that names subprotocols, as a browser with a token has to; the token is never answered."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def end_of_request(environ: Environ) -> list[bytes]:
    """Return what the application returns after ``upgrade``, so that the server adds nothing to the connection.

    Raises StopIteration, which is the sign for it, under gunicorn's stock gevent worker.
    """
    if _TAKE_SOCKET not in environ and "wsgi.websocket" not in environ:
        raise StopIteration
    return []


def _find_socket(environ: Environ) -> tuple[socket.socket, bytes]:
    take: Callable[[], tuple[socket.socket, bytes]] | None = environ.get(_TAKE_SOCKET)
    if take is not None:
        return take()
    sock = environ.get("gunicorn.socket")
    if sock is None:
        raise RefusedError(
            500,
            "This server cannot serve WebSockets: run it with gunicorn's gevent worker, or give gevent's WSGIServer "
            "handler_class=dockerexec_ws.Handler.",
        )
    return sock, environ["wsgi.input"].reader.unreader.take_buffered()


def _request(environ: Environ) -> Request:
    headers = Headers()
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            try:
                headers[key[5:].replace("_", "-")] = value
            except InvalidHeader as error:  # a CR by itself, say
                raise RefusedError(400, "A header is malformed.") from error
    if environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        raise RefusedError(400, "A request for a WebSocket has no body.")
    return Request(
        path=environ.get("PATH_INFO", ""),
        headers=headers,
        method=environ["REQUEST_METHOD"],
        protocol=environ["SERVER_PROTOCOL"],
    )


def _refusal(environ: Environ, response: Response) -> RefusedError:
    status = response.status_code
    headers = [(name, response.headers[name]) for name in ("Allow", "Upgrade") if name in response.headers]
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", _VERSION) != _VERSION:  # RFC 6455 section 4.2.2
        status = http.HTTPStatus.UPGRADE_REQUIRED
        headers = [("Sec-WebSocket-Version", _VERSION), ("Upgrade", "websocket")]
    elif status == http.HTTPStatus.HTTP_VERSION_NOT_SUPPORTED:  # HTTP/1.0 is served here, but cannot be upgraded
        status = http.HTTPStatus.UPGRADE_REQUIRED
        headers = [("Upgrade", "websocket")]
    return RefusedError(status, response.body.decode().strip(), headers)
