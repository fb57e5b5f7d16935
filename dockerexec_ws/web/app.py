"""The WSGI application: which request becomes a session, and how many there may be."""

import contextlib
import functools
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import gevent
from gevent import monkey
from gevent.pool import Group, Pool, PoolFull
from websockets.frames import CloseCode

from dockerexec_ws.access.admission import Admission, Client
from dockerexec_ws.access.authenticators import authenticators_of, token_need
from dockerexec_ws.access.identity import Environ
from dockerexec_ws.access.policy import Policy, offered_commands
from dockerexec_ws.access.rate import Rate
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.access.request import parse_request
from dockerexec_ws.access.targets import AllowedContainers, FixedContainer, Targets
from dockerexec_ws.engine.client import Engine, engine_address
from dockerexec_ws.engine.instance import Instance, default_state_dir
from dockerexec_ws.engine.killer import Killer
from dockerexec_ws.errors import AuditError, DockerExecError, NotPatchedError, QuotaError, SettingsError
from dockerexec_ws.net.websocket import WebSocket
from dockerexec_ws.observe.audit import AuditLog
from dockerexec_ws.protocol.messages import error_message
from dockerexec_ws.session.session import Cause, Session, SessionEnd
from dockerexec_ws.settings.settings import Settings
from dockerexec_ws.web.page import POLICY, UNBUILT, Answer, Page, is_for_page, policy_answer
from dockerexec_ws.web.paths import Paths
from dockerexec_ws.web.upgrade import ANSWER_TIMEOUT, end_of_request, note_local_address, upgrade

logger = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

REFUSAL_PATIENCE = 2.0
"""Seconds that a refused peer has to take the reason and close."""

PAGE_TIMEOUT = 60.0
"""Seconds within which a browser has to take each file of the page: who does not read holds nothing for ever."""

SHUTDOWN_TIMEOUT = 3.0
"""Seconds within which all sessions have to end at a shutdown, beside the grace; what remains is cut."""

LOGGED_REFUSALS = 60
"""Refusals in a minute, for each address, that the audit log tells of: a stranger must not fill the disk."""

_RETRY_AFTER = 5
_EVENTS = ("session", "session added", "session removed")


class App:
    """The application, as ``create_app`` makes it of ``Settings``; nothing is asked of the engine before ``start``."""

    def __init__(self, container_id: str | None = None, **options: Any) -> None:
        self._settings = settings = Settings.of(container_id, options)
        if bool(container_id) == bool(settings.allow_container or settings.allow_container_label):
            raise SettingsError(
                "give either one container for all sessions, by its name (which is not empty), or those among which "
                "the clients choose (allow_container, allow_container_label)"
            )
        self.authenticators = authenticators_of(settings)
        """The ways in which clients can tell who they are; none: only this machine gets in."""
        self._admission = Admission(
            self.authenticators,
            allow_unauthenticated=settings.allow_unauthenticated,
            allow_origins=settings.allow_origin,
            allow_hosts=settings.allow_host,
            trusted_proxies=settings.trusted_proxy,
        )
        self.path = "/" + (secrets.token_urlsafe(16) if settings.path is None else settings.path.strip("/"))
        """The path that is served, with its leading slash."""
        self._paths = Paths(self.path, containers=not container_id, page=settings.page)
        self._page = Page(token_need(self.authenticators)) if settings.page else None
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
        self._policy = Policy(
            commands=settings.allow_command,
            tty=settings.allow_tty,
            users=settings.allow_user,
            workdirs=settings.allow_workdir,
            environment=settings.allow_env,
            privileged=settings.allow_privileged,
        )
        self._starts = Rate(settings.max_starts_per_minute)
        self._refusals = Rate(LOGGED_REFUSALS)
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
        self._audit = AuditLog(settings.audit_log, optional=settings.audit_optional)
        if self._container_id:
            fixed = FixedContainer(
                self._engine, self._container_id, fresh=bool(self._audit), allow_own=settings.allow_own_container
            )
            self._targets: Targets = fixed
            self._instance = self._register((self._container_id, fixed.state.id))
            self._tasks.spawn(self._killer.check, fixed.state.id)
        else:
            self._targets = AllowedContainers(
                self._engine,
                settings.allow_container,
                settings.allow_container_label,
                allow_own=settings.allow_own_container,
            )
            self._instance = self._register(())
        self._started = True
        if settings.allow_unauthenticated and not self.authenticators:
            logger.warning("--allow-unauthenticated: whoever reaches this server gets in")
        if self._page is not None and not self._page.is_built:
            logger.warning(UNBUILT)

    def _register(self, containers: tuple[str, ...]) -> Instance:
        """Make this server known to its successors, and see to what its predecessors left. Raises SettingsError."""
        settings = self._settings
        if settings.on_disconnect == "leave":
            return Instance.unregistered()
        try:
            state_dir = Path(settings.state_dir or default_state_dir())
            instance = Instance.register(state_dir, self._engine.address, containers)
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
            self._audit.close()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; that of a session when the session is over."""
        try:
            if self._page is not None and is_for_page(environ):
                answer = self._browse(environ, self._page)
                start_response(answer.status, answer.headers)
                return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]
            if self._paths.choice(environ) is None:
                raise RefusedError(404, "There is nothing here.")
            client = self._admit(environ)
            websocket = self._upgrade(environ)
        except RefusedError as refusal:
            if environ.get("wsgi.websocket") is None:
                start_response(refusal.status, refusal.headers)
                return [] if environ["REQUEST_METHOD"] == "HEAD" else [refusal.body]
            self._refuse(self._upgrade(environ), refusal.text, refusal.close_code)
        else:
            self._serve(environ, websocket, client)
        return end_of_request(environ)

    def _browse(self, environ: Environ, page: Page) -> Answer:
        """Answer a browser that does not ask for a session. Raises RefusedError."""
        environ[ANSWER_TIMEOUT] = PAGE_TIMEOUT
        below = self._paths.page(environ)
        if below is None:
            raise RefusedError(404, "There is nothing here.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise RefusedError(405, "There is nothing but GET and HEAD.", [("Allow", "GET, HEAD")])
        if below == POLICY:
            # Another site's page could have its visitors' addresses locked out by what would count as their failures.
            if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none"):
                raise RefusedError(403, "This is for the page of this server.")
            return policy_answer(self._offer(self._admit(environ)))
        note_local_address(environ)
        self._admission.check(environ)  # who it is does not matter: the page is where a token is entered
        return page.answer(below, environ)

    def _offer(self, client: Client) -> dict[str, object]:
        """Return what *client* may ask for, for the page."""
        commands, any_command = offered_commands(self._policy, client.narrowing)
        return {
            "identity": client.name,
            "chooses_container": self._targets.chosen,
            "containers": self._targets.named(client.narrowing.containers),
            "any_command": any_command,
            "commands": commands,
            "tty": self._policy.tty and client.narrowing.tty is not False,
            "read_only": self._settings.read_only,
        }

    def _admit(self, environ: Environ) -> Client:
        """Let pass what may become a session, and tell whose; raises RefusedError."""
        if self._draining:
            raise RefusedError(
                503,
                "The server is going away.",
                [("Retry-After", str(_RETRY_AFTER))],
                close_code=CloseCode.TRY_AGAIN_LATER,
            )
        note_local_address(environ)
        try:
            return self._admission.admit(environ)
        except RefusedError as refusal:
            address, origin = self._admission.address(environ), environ.get("HTTP_ORIGIN")
            if refusal.status[:3] in ("401", "403") and not self._refusals.wait(address):
                self._refusals.note(address)
                with contextlib.suppress(AuditError):  # refused it is in any case
                    self._audit.write("refusal", reason=refusal.text, identity=None, address=address, origin=origin)
            raise

    def serves(self, environ: Environ) -> bool:
        """Whether a request is for the application's path, or for what it has below: of the page, or containers."""
        return self._paths.page(environ) is not None or self._paths.choice(environ) is not None

    def _record(
        self, session: Session, event: str, duration: float | None = None, end: SessionEnd | None = None
    ) -> None:
        """Write a line on a session to the audit log. Raises AuditError at its start."""
        fields: dict[str, object] = {
            "session": session.id,
            "identity": session.client.name,
            "address": session.client.address,
            "origin": session.client.origin,
            "container": session.target.id,
            "container_name": session.target.name,
            "argv": session.argv,
            "user": session.user,
            "tty": session.tty,
        }
        if end is None:
            self._audit.write(event, **fields)
            return
        fields |= {
            "exit_code": session.exit_code if end.cause is Cause.EXITED else None,  # else it is our own signal's
            "ending": end.text or end.cause.value,
            "bytes_in": session.bytes_in,
            "bytes_out": session.bytes_out,
            "duration": round(duration or 0.0, 3),
        }
        with contextlib.suppress(AuditError):  # it is over in any case
            self._audit.write(event, **fields)

    def _refuse(self, websocket: WebSocket, text: str, close_code: int) -> None:
        websocket.send_soon(error_message(text))
        websocket.close(close_code, patience=REFUSAL_PATIENCE)

    def _serve(self, environ: Environ, websocket: WebSocket, client: Client) -> None:
        greenlet = cast("gevent.Greenlet[..., object]", gevent.getcurrent())
        try:
            self._pool.add(greenlet, blocking=False)
        except PoolFull:
            self._refuse_session(websocket, client, "Too many sessions active!", CloseCode.TRY_AGAIN_LATER)
            return
        session: Session | None = None
        begin = time.monotonic()
        try:
            session = self._start_session(environ, websocket, client)
            end = session.run()
            self._record(session, "end", time.monotonic() - begin, end)
        except DockerExecError as error:
            self._refuse_session(websocket, client, str(error), error.close_code)
        finally:
            websocket.abort()
            self._pool.discard(greenlet)
            if session is not None:
                self.sessions.remove(session)
                self._emit("session removed", len(self.sessions))

    def _refuse_session(self, websocket: WebSocket, client: Client, text: str, close_code: int) -> None:
        who = {"identity": client.name, "address": client.address, "origin": client.origin}
        with contextlib.suppress(AuditError):  # refused it is in any case
            self._audit.write("refusal", reason=text, **who)
        self._refuse(websocket, text, close_code)

    def _start_session(self, environ: Environ, websocket: WebSocket, client: Client) -> Session:
        """Decide on what a client asks for, before anything is created. Raises DockerExecError."""
        request = client.narrowing.apply(parse_request(environ.get("QUERY_STRING", "")))
        self._policy.check(request)
        target = self._targets.find(self._paths.choice(environ) or "", client.narrowing.containers)
        self._check_quotas(client)  # from here on nothing else runs until the session counts
        self._instance.uses(target.reference)
        session = Session(
            websocket,
            self._engine,
            self._killer,
            self._instance.new_marker(),
            client=client,
            target=target,
            request=request,
            settings=self._settings,
        )
        self._record(session, "start")
        for key in client.quota_keys:
            self._starts.note(key)
        self.sessions.append(session)
        self._emit("session", session)
        self._emit("session added", len(self.sessions))
        return session

    def _check_quotas(self, client: Client) -> None:
        """Raise QuotaError if there may be no further session of that identity, or from that address, now."""
        most = self._settings.max_sessions_per_identity, self._settings.max_sessions_per_address
        for key, limit, what in zip(client.quota_keys, most, ("identity", "address"), strict=True):
            running = sum(key in session.client.quota_keys for session in self.sessions)
            if key and limit and running >= limit:
                raise QuotaError(f"too many sessions of this {what} are active")
            if key and self._starts.wait(key):
                raise QuotaError(f"too many sessions of this {what} were started within a minute")

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


def create_app(container_id: str | None = None, **options: Any) -> App:
    """Make the WSGI application; *options* are those of ``App``.

    Raises SettingsError, NotPatchedError, EngineUnavailableError, ContainerNotFoundError.
    """
    app = App(container_id, **options)
    app.start()
    return app


def mount(wsgi_app: WSGIApp, container_id: str | None = None, **options: Any) -> Mount:
    """Put the application beside an existing one, under one server; arguments and errors as for ``create_app``."""
    return Mount(wsgi_app, create_app(container_id, **options))
