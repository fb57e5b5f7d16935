"""gevent's WSGIServer, hardened: lack of descriptors does not flood the log, and TLS handshakes have a deadline."""

import errno
import logging
import socket
import ssl
import time
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer

ACCEPT_AGAIN = 0.1
"""Seconds until the server accepts connections again after descriptors ran out."""

_WARN_AGAIN = 60.0
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = logging.getLogger(__name__)


class HttpServer(WSGIServer):
    """Accepts connections and handles each in a greenlet of its own."""

    tls: ssl.SSLContext | None = None
    """Encrypts new connections; None: no TLS."""

    handshake_timeout = 10.0
    """Seconds a client has to complete the TLS handshake."""

    _warned = 0.0

    def do_read(self) -> Any:
        """Accept a connection. gevent's own method also waits for descriptors, but logs a traceback each time."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in _USED_UP:
                raise
            if not self._warned or time.monotonic() - self._warned > _WARN_AGAIN:
                self._warned = time.monotonic()
                logger.warning(
                    "no connection can be accepted until others end: %s. Raise the limit of descriptors (ulimit -n).",
                    error.strerror,
                )
            self.stop_accepting()
            gevent.spawn_later(ACCEPT_AGAIN, self._accept_again)
            return None

    def _accept_again(self) -> None:
        if self.started:
            self.start_accepting()

    def handle(self, client_socket: socket.socket, address: Any) -> None:
        """Handle one connection to its end."""
        if self.tls is None:
            super().handle(client_socket, address)
            return
        try:
            with gevent.Timeout(self.handshake_timeout, TimeoutError("it took too long")):
                encrypted = self.tls.wrap_socket(client_socket, server_side=True)
        except (OSError, ValueError) as error:  # the client's fault; SSLError is an OSError
            logging.getLogger("dockerexec_ws.requests").info("%s: the TLS handshake failed: %s", address, error)
            return
        with encrypted:
            super().handle(encrypted, address)
