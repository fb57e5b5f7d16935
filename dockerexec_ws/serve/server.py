"""The server by itself: the application in gevent's WSGIServer."""

import errno
import logging
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from gevent.event import Event

from dockerexec_ws.access.peer import is_loopback
from dockerexec_ws.errors import ListenError, SettingsError
from dockerexec_ws.serve.http_server import HttpServer
from dockerexec_ws.serve.tls import TlsFiles
from dockerexec_ws.session.session import Session
from dockerexec_ws.settings.settings import ServerSettings
from dockerexec_ws.settings.typed_keywords import takes_more
from dockerexec_ws.web.app import App
from dockerexec_ws.web.handler import Handler


class DockerExecServer:
    """Serves sessions in the container *container_id* (a name or id) at ``url``.

    *listener* is a socket that listens already. Without one the server listens on *host* and *port*. The other options
    are those of the records in ``dockerexec_ws.settings.schema``.

    Raises SettingsError.
    """

    @takes_more(ServerSettings)
    def __init__(self, container_id: str | None = None, **options: Any) -> None:
        settings = ServerSettings.of(container_id, options)
        self._tls = None
        if settings.certfile and settings.keyfile:
            self._tls = TlsFiles(settings.certfile, settings.keyfile, settings.client_ca)
        self._settings = settings
        self._app = App(settings)
        self._tls_context = self._tls.context() if self._tls else None
        self._host = settings.host
        self._port = settings.port
        self._listener = settings.listener
        self._refuse_strangers()
        limits = {"request_timeout": settings.handshake_timeout, "max_request_line": settings.max_request_line}
        self._handler_class = type("Handler", (Handler,), limits)
        self._server: HttpServer | None = None  # once it has started
        self._stopped = Event()

    def start(self) -> None:
        """Connect to the engine and listen. From then on the server serves sessions while other greenlets run.

        Raises NotPatchedError, EngineUnavailableError, ContainerNotFoundError, SettingsError, ListenError.
        """
        if self._server is not None or self._stopped.is_set():
            raise SettingsError("a server cannot start twice. Make a new one.")
        self._app.start()
        try:
            self._listen()
        except BaseException:
            self._app.close(0)
            raise

    def _listen(self) -> None:
        if self._listener is None:
            try:
                family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
                self._listener = socket.create_server((self._host, self._port), family=family)
            except OSError as error:
                what = "Stop the program that uses it, or choose another. Port 0 takes a free one."
                if error.errno != errno.EADDRINUSE:
                    what = "Choose an address of this machine and a port that you may use."
                raise ListenError(
                    f"cannot listen on {self._host}, port {self._port}: {error.strerror or error}. {what}"
                ) from error
        if self._listener.family not in (socket.AF_INET, socket.AF_INET6):
            raise ListenError("the listener is not a TCP socket. Give one of AF_INET or AF_INET6.")
        self._host, self._port = self._listener.getsockname()[:2]
        log = logging.getLogger("dockerexec_ws.requests")
        server = HttpServer(self._listener, self._app, handler_class=self._handler_class, log=None, error_log=log)
        server.tls, server.handshake_timeout = self._tls_context, self._settings.handshake_timeout
        server.start()
        self._server = server

    def _refuse_strangers(self) -> None:
        """Raise SettingsError if other machines' clients could get in without authentication, unless that is wanted."""
        if self._app.authenticators:
            return
        if self._settings.allow_unauthenticated:
            return
        host = self._listener.getsockname()[0] if self._listener else self._host
        try:
            addresses = [info[4][0] for info in socket.getaddrinfo(host or "0.0.0.0", None)]  # nosec B104  # is asked about, not bound
        except OSError as error:
            raise ListenError(f"cannot listen on {host}: {error.strerror or error}") from error
        if not all(is_loopback(str(address)) for address in addresses):
            raise SettingsError(
                f"{host or 'every address'} can be reached from other machines, and clients would need no "
                "authentication. Give --token-file or another way to authenticate, or else --allow-unauthenticated."
            )

    def reload(self) -> None:
        """Reload the TLS files for new connections. Raises SettingsError; the former files then stay in use."""
        if self._tls is not None and self._server is not None:
            self._server.tls = self._tls.context()

    def serve_forever(self) -> None:
        """Start the server if necessary, then wait for ``close``. Raises the errors of ``start``."""
        if self._server is None:
            self.start()
        self._stopped.wait()

    def close(self, drain_timeout: float | None = None) -> None:
        """Send 201 to every session, end its processes and stop listening. Idempotent.

        For *drain_timeout* seconds (by default the setting of that name) running sessions can end by themselves. New
        ones get 503 meanwhile.
        """
        try:
            self._app.close(drain_timeout)
        finally:
            if self._server is not None:
                self._server.stop(timeout=0)
            self._stopped.set()

    @property
    def url(self) -> str:
        """The URL for clients: ws://HOST:PORT/PATH, or wss://. The port is known once the server has started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"ws{'s' if self._tls else ''}://{host}:{self._port}{quote(self._app.path)}"

    @property
    def sessions(self) -> list[Session]:
        """The sessions that run now, oldest first."""
        return list(self._app.sessions)

    @property
    def kill_failures(self) -> int:
        """How many sessions had ended whose processes could not be, when that was first tried; the log says why."""
        return self._app.kill_failures

    def subscribe(self, event: str, callback: Callable[[Any], object]) -> None:
        """Have *callback* called: on "session" with the Session, on "session added" and "session removed" with a count.

        It is called in the session's greenlet; what it raises is logged and harms nothing. Raises SettingsError.
        """
        self._app.subscribe(event, callback)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
