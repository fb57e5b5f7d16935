"""The WSGI application: which request becomes a session, and how many there may be."""

import functools
import logging
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, urlsplit

import gevent
from gevent import monkey
from gevent.pool import Group, Pool, PoolFull
from websockets.frames import CloseCode

from dockerexec_ws.engine.client import Engine, engine_address
from dockerexec_ws.engine.instance import Instance, default_state_dir
from dockerexec_ws.engine.killer import Killer
from dockerexec_ws.errors import NotPatchedError, RequestRefusedError, SettingsError
from dockerexec_ws.protocol.messages import error_message
from dockerexec_ws.server.session import Session
from dockerexec_ws.server.settings import Settings
from dockerexec_ws.server.upgrade import Environ, RefusedError, end_of_request, upgrade
from dockerexec_ws.server.websocket import WebSocket

logger = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

REFUSAL_PATIENCE = 2.0
"""Seconds that a refused peer has to take the reason and close."""

SHUTDOWN_TIMEOUT = 3.0
"""Seconds within which all sessions have to end at a shutdown, beside the grace; what remains is cut."""

_RETRY_AFTER = 5
_EVENTS = ("session", "session added", "session removed")


class App:
    """The application, as ``create_app`` makes it of ``Settings``; nothing is asked of the engine before ``start``."""

    def __init__(self, container_id: str, **options: Any) -> None:
        if not container_id:
            raise SettingsError("the container's name is empty")
        self._settings = settings = Settings(**options)
        self.path = "/" + (secrets.token_urlsafe(16) if settings.path is None else settings.path.strip("/"))
        """The path that is served, with its leading slash."""
        self.sessions: list[Session] = []
        """The sessions that run now, oldest first."""
        self._container_id = container_id
        self._engine_address = engine_address(settings.docker_host, settings.docker_socket)
        self._upgrade = functools.partial(
            upgrade,
            max_size=settings.max_message_size,
            compress=settings.compress,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
        )
        self._subscribers: dict[str, list[Callable[[Any], object]]] = {event: [] for event in _EVENTS}
        self._started = False
        self._draining = False
        # Its members are the greenlets of the requests that became sessions.
        self._pool = Pool(settings.max_sessions)
        self._tasks = Group()
        self._instance = Instance.unregistered()

    def start(self) -> None:
        """Connect to the engine; what former servers left is ended from now on.

        Raises NotPatchedError, EngineUnavailableError, ContainerNotFoundError, SettingsError.
        """
        if not monkey.is_module_patched("socket"):
            raise NotPatchedError
        settings = self._settings
        self._engine = Engine(self._engine_address, timeout=settings.engine_timeout, connections=settings.max_sessions)
        self._killer = Killer(self._engine, grace=settings.grace)
        container = self._engine.container_state(self._container_id)
        self._instance = self._register(container.id)
        self._started = True
        self._tasks.spawn(self._killer.check, container.id)

    def _register(self, container_id: str) -> Instance:
        """Make this server known to its successors, and see to what its predecessors left. Raises SettingsError."""
        settings = self._settings
        if settings.on_disconnect == "leave":
            return Instance.unregistered()
        try:
            state_dir = Path(settings.state_dir or default_state_dir())
            instance = Instance.register(state_dir, self._engine.address, (self._container_id, container_id))
        except SettingsError as error:
            if settings.state_dir is not None:
                raise
            logger.warning("if this server is killed, nobody will end what its sessions leave: %s", error)
            return Instance.unregistered()
        for former in Instance.former(state_dir, self._engine.address):
            logger.warning("a former server was not ended in order: what its sessions left is ended now")
            self._tasks.spawn(self._end_former, former)
        return instance

    def _end_former(self, former: Instance) -> None:
        done = False
        try:
            ending = [gevent.spawn(self._killer.end, container, former.marker) for container in former.containers]
            gevent.joinall(ending)
            done = all(greenlet.value for greenlet in ending)
        finally:
            former.close(done=done)

    @property
    def kill_failures(self) -> int:
        """How many sessions had ended whose processes could not be, when that was first tried."""
        return self._killer.failures

    def subscribe(self, event: str, callback: Callable[[Any], object]) -> None:
        """Have *callback* called: on "session" with the Session, on "session added" and "session removed" with a count.

        It is called in the session's greenlet; what it raises is logged and harms nothing.
        """
        if event not in self._subscribers:
            raise SettingsError(f"there is no event {event!r}, only {', '.join(_EVENTS)}")
        self._subscribers[event].append(callback)

    def close(self, drain_timeout: float | None = None) -> None:
        """End all sessions; new ones get 503. Idempotent.

        For *drain_timeout* seconds, by default those of the settings, running ones may end by themselves.
        """
        self._draining = True
        if drain_timeout is None:
            drain_timeout = self._settings.drain_timeout
        if drain_timeout:
            self._pool.join(timeout=drain_timeout)
        for session in list(self.sessions):
            session.shutdown()
        if not self._pool.join(timeout=SHUTDOWN_TIMEOUT + self._settings.grace):
            logger.error("%d sessions did not end in time and are cut", len(self.sessions))
            self._pool.kill(timeout=1.0)
        if self._started:
            left = [marker for marker in self._killer.close() if marker.startswith(self._instance.marker)]
            self._instance.close(done=not left)
            self._tasks.kill(block=False)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; that of a session when the session is over."""
        try:
            self._admit(environ)
            websocket = self._upgrade(environ)
        except RefusedError as refusal:
            if environ.get("wsgi.websocket") is None:
                start_response(refusal.status, refusal.headers)
                return [refusal.body]
            self._refuse(self._upgrade(environ), refusal.text, refusal.close_code)
        else:
            self._serve(environ, websocket)
        return end_of_request(environ)

    def _admit(self, environ: Environ) -> None:
        """Let pass what may become a session; raises RefusedError."""
        if not self.serves(environ):
            raise RefusedError(404, "There is nothing here.")
        if self._draining:
            raise RefusedError(
                503,
                "The server is going away.",
                [("Retry-After", str(_RETRY_AFTER))],
                close_code=CloseCode.TRY_AGAIN_LATER,
            )
        if not _same_origin(environ):
            raise RefusedError(403, "Pages of another origin may not connect.")

    def serves(self, environ: Environ) -> bool:
        """Whether a request is for the application's path."""
        return secrets.compare_digest(environ.get("PATH_INFO", "").encode("latin-1"), self.path.encode())

    def _refuse(self, websocket: WebSocket, text: str, close_code: int) -> None:
        websocket.send_soon(error_message(text))
        websocket.close(close_code, patience=REFUSAL_PATIENCE)

    def _serve(self, environ: Environ, websocket: WebSocket) -> None:
        greenlet = cast("gevent.Greenlet[..., object]", gevent.getcurrent())
        try:
            self._pool.add(greenlet, blocking=False)
        except PoolFull:
            self._refuse(websocket, "Too many sessions active!", CloseCode.TRY_AGAIN_LATER)
            return
        session: Session | None = None
        try:
            argv, tty = _parse_query(environ.get("QUERY_STRING", ""))
            session = Session(
                websocket,
                self._engine,
                self._killer,
                self._container_id,
                self._instance.new_marker(),
                (*self._settings.wrapper_command, *argv),
                tty=tty,
                settings=self._settings,
            )
            self.sessions.append(session)
            self._emit("session", session)
            self._emit("session added", len(self.sessions))
            session.run()
        except RequestRefusedError as error:
            self._refuse(websocket, str(error), error.close_code)
        finally:
            websocket.abort()
            self._pool.discard(greenlet)
            if session is not None:
                self.sessions.remove(session)
                self._emit("session removed", len(self.sessions))

    def _emit(self, event: str, argument: object) -> None:
        for callback in self._subscribers[event]:
            try:
                callback(argument)
            except Exception:
                logger.exception("a callback for %r failed", event)


class Mount:
    """An application beside another one: ``app`` at its path, *wsgi_app* everywhere else; made by ``mount``."""

    def __init__(self, wsgi_app: WSGIApp, app: App) -> None:
        self.app = app
        """The application that serves the sessions: its path, events and ``close``."""
        self._wsgi_app = wsgi_app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return (self.app if self.app.serves(environ) else self._wsgi_app)(environ, start_response)


def create_app(container_id: str, **options: Any) -> App:
    """Make the WSGI application; *options* are those of ``App``.

    Raises SettingsError, NotPatchedError, EngineUnavailableError, ContainerNotFoundError.
    """
    app = App(container_id, **options)
    app.start()
    return app


def mount(wsgi_app: WSGIApp, container_id: str, **options: Any) -> Mount:
    """Put the application beside an existing one, under one server; arguments and errors as for ``create_app``."""
    return Mount(wsgi_app, create_app(container_id, **options))


def _same_origin(environ: Environ) -> bool:
    """Whether the request comes from no web page, or from one of the host and port that it goes to."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return True
    try:
        theirs = urlsplit(origin)
        ours = urlsplit(f"{theirs.scheme}://{environ.get('HTTP_HOST', '')}")
        return bool(theirs.hostname) and theirs.hostname == ours.hostname and _port(theirs) == _port(ours)
    except ValueError:  # no URL: a port that is no number, say
        return False


def _port(url: SplitResult) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _parse_query(query: str) -> tuple[list[str], bool]:
    """Return argv and tty; raises RequestRefusedError."""
    try:
        fields = parse_qsl(query.encode("latin-1").decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise RequestRefusedError("the query parameters are not UTF-8") from error
    argv = [value for key, value in fields if key == "command"]
    if not argv:
        raise RequestRefusedError("no command was given: add a query parameter command=... for each word of it")
    tty = [value for key, value in fields if key == "tty"]
    return argv, tty[-1:] != [] and tty[-1].lower() == "true"
