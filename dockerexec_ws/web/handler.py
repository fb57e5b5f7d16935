"""The handler class by which gevent's WSGIServer can serve WebSockets: ``dockerexec_ws.Handler``."""

import contextlib
import errno
import http
import logging
import socket
import ssl
from http.client import HTTPException
from typing import Any

import gevent
from geventwebsocket.handler import WebSocketHandler

from dockerexec_ws.access.identity import PEER_CERTIFICATE, Environ
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.net.buffers import buffered
from dockerexec_ws.net.pacing import take_turn
from dockerexec_ws.web.request_head import FIELDS_TOO_LARGE, BoundedLines, origin_form

HANDLER = "dockerexec_ws.handler"
"""A request's key in the environ for its handler."""

PYWSGI_LINE = 8192  # bytes; pywsgi answers 414 by itself, without a text, from here on
_LINGER = 1.0  # seconds for a client to take a refusal while it still sends
_MOST_LINGERING_READS = 64
_SWITCHED = b"101 Switching Protocols"


class _BoundedBody:
    """What pywsgi uses to drop a body that the application has not read. It would wait for the body without end."""

    def __init__(self, handler: "Handler", body: Any) -> None:
        self._handler = handler
        self._body = body

    def _discard(self) -> None:
        late = TimeoutError("the request's body took too long")
        try:
            with gevent.Timeout(self._handler.request_timeout, late):
                self._body._discard()  # pywsgi's own call
        except TimeoutError:
            self._handler.close_connection = True


class Handler(WebSocketHandler):  # type: ignore[misc]  # it has no types
    """The handler class for gevent's WSGIServer. It lets the application decide whether to upgrade, and when."""

    request_timeout = 10.0
    """Seconds a client has to send the complete head of its request. A subclass may set others."""

    max_request_line = 256 * 1024
    """Bytes of the longest request line. Its query holds the command. A subclass may set another."""

    answer_timeout: float | None = None
    """Seconds the client has to take the answer to the current request; None: no limit."""

    path: str
    wsgi_input: Any

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
        self._reads_head = True
        self._deadline = gevent.Timeout.start_new(
            self.request_timeout, TimeoutError("the request's head took too long")
        )
        try:
            self._line = self.rfile.readline(self.max_request_line + 1).decode("latin-1")
        except BaseException:
            self._deadline.close()
            raise
        if not self._line:  # read_request will not be called
            self._deadline.close()
        return self._line[: PYWSGI_LINE - 1]

    def read_request(self, _: str) -> bool:
        """Read the rest of the request's head. Raises RefusedError."""
        try:
            if len(self._line) > self.max_request_line:
                raise RefusedError(
                    414,
                    f"The request line is longer than {self.max_request_line} bytes. Shorten the command, or have the "
                    "server's operator raise the limit (--max-request-line).",
                )
            accepted = bool(super().read_request(self._line))
        except TimeoutError as error:
            raise RefusedError(408, f"The request's head took longer than {self.request_timeout:g} s.") from error
        except OSError:  # the client is gone; pywsgi would log a traceback
            return False
        except HTTPException as error:  # more than 100 header fields
            raise RefusedError(431, FIELDS_TOO_LARGE) from error
        finally:
            self._line = ""
            self._deadline.close()
        self._reads_head = False
        authority, self.path = origin_form(self.path)
        if authority is not None:
            del self.headers["Host"]
            self.headers["Host"] = authority
        return accepted

    def MessageClass(self, source: Any, *rest: object) -> Any:  # noqa: N802  # pywsgi's name
        """Read the header fields. Raises RefusedError, HTTPException."""
        return super().MessageClass(BoundedLines(source), *rest)

    def _handle_client_error(self, error: Exception) -> tuple[str, bytes]:
        """Answer a request whose head is not taken, in words; pywsgi's hook for that."""
        self.log_error()
        if not self._reads_head:  # the body is malformed, and the application has answered, or begun to
            return "400", b""
        refused = error if isinstance(error, RefusedError) else RefusedError(400, "The request is malformed.")
        # Read what the client still sends. Closing the socket before it is read would reset the connection, and the
        # client would lose the answer.
        with contextlib.suppress(OSError), gevent.Timeout(_LINGER, TimeoutError()):
            self.socket.sendall(_response(refused))
            self.socket.shutdown(socket.SHUT_WR)
            for _ in range(_MOST_LINGERING_READS):
                if not self.socket.recv(64 * 1024):
                    break
                take_turn()
        return refused.status, b""

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
        self.wsgi_input = _BoundedBody(self, self.wsgi_input)
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


def _response(refused: RefusedError) -> bytes:
    """Return the whole HTTP response for a request that the application does not see."""
    fields = [*refused.headers, ("Connection", "close")]
    head = [f"HTTP/1.1 {refused.status}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(head).encode() + refused.body
