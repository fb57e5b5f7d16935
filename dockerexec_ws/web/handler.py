"""The handler class by which gevent's WSGIServer can serve WebSockets: ``dockerexec_ws.Handler``."""

import contextlib
import errno
import http
import logging
import socket
import ssl
from http.client import HTTPException

import gevent
from geventwebsocket.handler import WebSocketHandler

from dockerexec_ws.access.identity import PEER_CERTIFICATE, Environ
from dockerexec_ws.net.buffers import buffered

HANDLER = "dockerexec_ws.handler"
"""A request's key in the environ for its handler."""

_LONGEST_LINE = 8192  # bytes; pywsgi answers 414 from here on
_SWITCHED = b"101 Switching Protocols"


class Handler(WebSocketHandler):  # type: ignore[misc]  # it has no types
    """The handler class for gevent's WSGIServer. It lets the application decide whether to upgrade, and when."""

    request_timeout = 10.0
    """Seconds a client has to send the complete head of its request. A subclass may set others."""

    answer_timeout: float | None = None
    """Seconds the client has to take the answer to the current request; None: no limit."""

    # Not the property of the base class, which sets up logging for the whole process.
    logger = logging.getLogger("dockerexec_ws.requests")

    def __init__(self, sock: socket.socket, address: object, server: object) -> None:
        super().__init__(sock, address, server)
        # Each session keeps this buffer, so it is small. Most heads fit, cookies included.
        self.rfile = sock.makefile("rb", 2048)

    def handle(self) -> None:
        """Handle all requests of the connection."""
        # The client of a malformed request may leave before it is answered.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def read_requestline(self) -> str:
        """Read the request's first line. ``request_timeout`` starts here, for the whole head."""
        self.answer_timeout = None
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
        except (OSError, HTTPException):  # a client that is late, gone, or says too much: pywsgi would log a traceback
            return False
        finally:
            self._deadline.close()

    def log_error(self, *_: object) -> None:
        """Log that a request is malformed, without its bytes: a stranger sent them, or they are a mistyped secret."""
        self.logger.info("%s: malformed request", self.client_address)

    def log_request(self) -> None:
        """Log a request that did not become a session, without its path and query, which may be secrets.

        An unknown method is not logged either: it is a stranger's bytes, perhaps with control characters.
        """
        if self.status != _SWITCHED:
            method = self.command if self.command in http.HTTPMethod.__members__ else "unknown method"
            self.logger.info("%s %s: %s", self.client_address, method, self.status)

    def get_environ(self) -> Environ:
        """Return the request's environ, with the handler and the client's certificate, if it has one."""
        environ: Environ = super().get_environ()
        environ[HANDLER] = self
        if isinstance(self.socket, ssl.SSLSocket):
            environ["wsgi.url_scheme"] = "https"
            environ[PEER_CERTIFICATE] = self.socket.getpeercert()
        return environ

    def process_result(self) -> None:
        """Send the application's answer within ``answer_timeout``."""
        # pywsgi takes this error for the client's fault, and logs no traceback.
        late = ConnectionResetError(errno.ECONNRESET, "the client did not take the answer in time")
        with gevent.Timeout(self.answer_timeout, late):
            super().process_result()

    def upgrade_websocket(self) -> None:
        """Do nothing, unlike the base class: the application upgrades."""

    def take_socket(self) -> tuple[socket.socket, bytes]:
        """Return the socket and the bytes that were read from it ahead. The handler does not use it any more."""
        self.close_connection = True
        self.status = _SWITCHED
        self.headers_sent = True  # the application has answered already
        return self.socket, buffered(self.rfile, self.socket)
