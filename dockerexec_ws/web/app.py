"""The WSGI application: it answers each request by a session, the page, or a refusal."""

import functools
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from gevent import GreenletExit, monkey
from websockets.frames import CloseCode

from dockerexec_ws.access.admission import Admission, Client
from dockerexec_ws.access.authenticators import authenticators_of, token_need
from dockerexec_ws.access.identity import LOCAL_ADDRESS, Environ
from dockerexec_ws.access.policy import Policy, allows_shell, offered_commands
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.access.request import parse_request
from dockerexec_ws.access.targets import Targets
from dockerexec_ws.engine.docker import engine_address
from dockerexec_ws.errors import DockerExecError, NotAllowedError, NotPatchedError, SettingsError, ShuttingDownError
from dockerexec_ws.net.websocket import WebSocket
from dockerexec_ws.observe.subscriptions import Events
from dockerexec_ws.protocol.events import Error
from dockerexec_ws.protocol.terminal import SHELL
from dockerexec_ws.protocol.versions import codec_of
from dockerexec_ws.session.observers import Refusal
from dockerexec_ws.session.registry import Registry
from dockerexec_ws.session.session import Session
from dockerexec_ws.settings.settings import Settings
from dockerexec_ws.web.backend import Backend
from dockerexec_ws.web.carriers import carrier_of
from dockerexec_ws.web.gunicorn_worker import gunicorn_worker, shortcomings
from dockerexec_ws.web.page import POLICY, UNBUILT, Answer, Page, is_for_page, policy_answer, with_page_origin
from dockerexec_ws.web.paths import ASSETS, Paths
from dockerexec_ws.web.upgrade import upgrade

logger = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

REFUSAL_PATIENCE = 2.0
"""Seconds that a refused client has to take the reason and close."""

PAGE_TIMEOUT = 60.0
"""Timeout, in seconds, for sending a page file. It keeps clients that never read from holding a connection open."""

SHUTDOWN_TIMEOUT = 3.0
"""Seconds that sessions have to end at a shutdown, in addition to the grace. After that they are cut."""

_RETRY_AFTER = 5


class App:
    """The WSGI application. Until ``start`` has connected it to the engine, it answers 503. Raises SettingsError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        container_id = settings.container_id
        if bool(container_id) == bool(settings.allow_container or settings.allow_container_label):
            raise SettingsError(
                "Give either the name of one container for all sessions, which must not be empty, or the containers "
                "that clients may choose (allow_container, allow_container_label)."
            )
        self.authenticators = authenticators_of(settings)
        """The ways in which clients can authenticate. If there are none, only clients on this machine get in."""
        self._admission = Admission(
            self.authenticators,
            allow_unauthenticated=settings.allow_unauthenticated,
            allow_origins=settings.allow_origin,
            allow_hosts=settings.allow_host,
            trusted_proxies=settings.trusted_proxy,
        )
        self.path = "/" + (secrets.token_urlsafe(16) if settings.path is None else settings.path.strip("/"))
        """The path of the sessions, with its leading slash."""
        self._paths = Paths(self.path, containers=not container_id, page=settings.page)
        self._page = Page(token_need(self.authenticators)) if settings.page else None
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
        # Only clients on this machine get in, and nobody has chosen what they may ask for.
        self._is_operators_own = (
            not self.authenticators and not settings.allow_unauthenticated and self._policy == Policy()
        )
        self._named_options: set[str] = set()  # that the log has named
        self._draining = False
        self._events = Events()
        self._backend: Backend | None = None  # until it has started

    def start(self) -> None:
        """Connect to the engine, and begin to end the processes that former servers left.

        Raises NotPatchedError, EngineUnavailableError, ContainerNotFoundError, SettingsError.
        """
        if not monkey.is_module_patched("socket"):
            raise NotPatchedError
        self._backend = Backend(self._settings, self._engine_address, self._settings.container_id, self._events)
        if self._settings.allow_unauthenticated and not self.authenticators:
            logger.warning("--allow-unauthenticated is set, so every client that reaches this server gets in")
        if self._page is not None and not self._page.is_built:
            logger.warning(UNBUILT)
        worker = gunicorn_worker()
        if worker is not None and worker.age == 1:  # the first one speaks for all
            for text in shortcomings(worker, self._settings.max_sessions):
                logger.warning(text)

    @property
    def sessions(self) -> list[Session]:
        """The sessions that run now, oldest first."""
        return self._backend.registry.running if self._backend else []

    @property
    def kill_failures(self) -> int:
        """The number of sessions whose processes could not be ended at the first attempt."""
        return self._backend.killer.failures if self._backend else 0

    def subscribe(self, event: str, callback: Callable[[Any], object]) -> None:
        """Call *callback* at each *event*.

        "session" passes the Session that starts; "session added" and "session removed" pass the number of sessions. The
        callback runs in the session's greenlet; exceptions are logged. Raises SettingsError if there is no such event.
        """
        self._events.subscribe(event, callback)

    def close(self, drain_timeout: float | None = None) -> None:
        """End all sessions, and answer new ones with 503. Idempotent.

        Running sessions have *drain_timeout* seconds, by default those of the settings, to end by themselves.
        """
        self._draining = True
        if self._backend is not None:
            self._end_sessions(
                self._backend.registry, self._settings.drain_timeout if drain_timeout is None else drain_timeout
            )
            self._backend.close()

    def _end_sessions(self, registry: Registry, drain_timeout: float) -> None:
        if drain_timeout:
            registry.join(drain_timeout)
        for session in registry.running:
            session.shutdown()
        if not registry.join(SHUTDOWN_TIMEOUT + self._settings.grace):
            logger.error("%d sessions did not end in time; their connections are cut", len(registry.running))
            registry.kill()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request. If it becomes a session, return when the session is over."""
        carrier = carrier_of(environ)
        environ[LOCAL_ADDRESS] = carrier.local_address
        try:
            backend = self._backend
            if backend is None:
                raise _unavailable("The server has not started. Try again later.")
            if self._page is not None and not carrier.upgraded and is_for_page(environ):
                carrier.limit_answer(PAGE_TIMEOUT)
                answer = self._browse(backend, environ, self._page)
                start_response(answer.status, answer.headers)
                return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]
            if self._paths.choice(environ) is None:
                raise RefusedError(404, "There is nothing at this path. Check the URL.")
            client = self._admit(backend, environ)
            websocket = self._upgrade(environ, carrier)
        except RefusedError as refusal:
            if not carrier.upgraded:
                start_response(refusal.status, refusal.headers)
                return [] if environ["REQUEST_METHOD"] == "HEAD" else [refusal.body]
            self._refuse(self._upgrade(environ, carrier), refusal.text, refusal.close_code)
        else:
            self._serve(backend, environ, websocket, client)
        return carrier.finish()

    def _browse(self, backend: Backend, environ: Environ, page: Page) -> Answer:
        """Answer a browser that does not ask for a session. Raises RefusedError."""
        below = self._paths.page(environ)
        if below is None:
            raise RefusedError(404, "There is nothing at this path. Check the URL.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise RefusedError(405, "This path answers only GET and HEAD requests.", [("Allow", "GET, HEAD")])
        if below == POLICY:
            # Otherwise another site's page could lock its visitors out, because each request would count as a failure.
            if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none"):
                raise RefusedError(403, "Only the page of this server may ask for this.")
            return policy_answer(self._offer(backend.targets, self._admit(backend, with_page_origin(environ))))
        # Without authentication, because the page is where users enter a token.
        (self._admission.check_for_file if below.startswith(ASSETS) else self._admission.check)(environ)
        return page.answer(below, environ)

    def _offer(self, targets: Targets, client: Client) -> dict[str, object]:
        """Tell the page what *client* may ask for."""
        commands, any_command = offered_commands(self._policy, client.narrowing)
        return {
            "identity": client.name,
            "chooses_container": targets.chosen,
            "containers": [asdict(each) for each in targets.offered(client.narrowing.containers)],
            "any_command": any_command,
            "commands": commands,
            "shell": SHELL if allows_shell(self._policy, client.narrowing) else None,
            "tty": self._policy.tty and client.narrowing.tty is not False,
            "read_only": self._settings.read_only,
        }

    def _admit(self, backend: Backend, environ: Environ) -> Client:
        """Return the client that a request comes from, if it may have a session. Raises RefusedError."""
        if self._draining:
            raise _unavailable("The server is going away.")
        try:
            return self._admission.admit(environ)
        except RefusedError as refusal:
            if refusal.status[:3] in ("401", "403"):
                address, origin = self._admission.address(environ), environ.get("HTTP_ORIGIN")
                backend.observers.refused(Refusal(reason=refusal.text, address=address, origin=origin, stranger=True))
            raise

    def serves(self, environ: Environ) -> bool:
        """Whether the application answers a request: its path is that of sessions, a container or the page."""
        return self._paths.page(environ) is not None or self._paths.choice(environ) is not None

    def _refuse(self, websocket: WebSocket, text: str, close_code: int) -> None:
        websocket.send_soon(codec_of(websocket.subprotocol).encode(Error(text)))
        websocket.close(close_code, patience=REFUSAL_PATIENCE)

    def _serve(self, backend: Backend, environ: Environ, websocket: WebSocket, client: Client) -> None:
        session: Session | None = None
        try:
            with backend.registry.place():
                session = self._make_session(backend, environ, websocket, client)
                session.run()
        except DockerExecError as error:  # the place is free again, however slowly the client takes the refusal
            self._refuse_session(backend, websocket, client, error)
        except GreenletExit:  # the server cut a session at its own end; pywsgi would try to answer, and log a traceback
            pass
        finally:
            websocket.abort()
            if session is not None:
                backend.registry.remove(session)

    def _refuse_session(self, backend: Backend, websocket: WebSocket, client: Client, error: DockerExecError) -> None:
        text = str(error)
        if isinstance(error, NotAllowedError):
            if error.option not in self._named_options:  # once, because clients could fill the log
                self._named_options.add(error.option)
                logger.warning("a client was told %r. The option %s can allow it.", text, error.option)
            if self._is_operators_own:
                text += f". The server's option {error.option} can allow it."
        refusal = Refusal(reason=text, address=client.address, origin=client.origin, identity=client.name)
        backend.observers.refused(refusal)
        self._refuse(websocket, text, error.close_code)

    def _make_session(self, backend: Backend, environ: Environ, websocket: WebSocket, client: Client) -> Session:
        """Check what a client asks for, then make its session and register it. Raises DockerExecError."""
        request = self._policy.apply(client.narrowing.apply(parse_request(environ.get("QUERY_STRING", ""))))
        target = backend.targets.find(self._paths.choice(environ) or "", client.narrowing.containers, request.tty)
        if self._draining:  # since the request was admitted: the session would not be ended with the others
            raise ShuttingDownError
        backend.registry.check_quotas(client)  # no other greenlet may run from here until the session counts
        backend.instance.uses(target.reference)
        session = Session(
            websocket,
            backend.engine,
            backend.new_run,
            backend.instance.new_marker(),
            client=client,
            target=target,
            request=request,
            settings=self._settings,
        )
        backend.registry.add(session)
        return session


def _unavailable(text: str) -> RefusedError:
    headers = [("Retry-After", str(_RETRY_AFTER))]
    return RefusedError(503, text, headers, close_code=CloseCode.TRY_AGAIN_LATER)
