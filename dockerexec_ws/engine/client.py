"""The connection to a Docker Engine, by docker-py: what it can be asked, and its errors as this package's own."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import docker
import gevent
import requests
from docker.utils import kwargs_from_env

from dockerexec_ws.engine.stream import HijackedStream
from dockerexec_ws.errors import (
    ContainerNotFoundError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    SettingsError,
)

DEFAULT_SOCKET = "/var/run/docker.sock"


def engine_address(docker_host: str | None, docker_socket: str | None) -> str | None:
    """Return one address out of two ways to give it; None when neither is given.

    Raises SettingsError when both are.
    """
    if docker_host and docker_socket:
        raise SettingsError("give the engine as an address (docker host) or as a unix socket's path, not both")
    return f"unix://{docker_socket}" if docker_socket else docker_host or None


TIMEOUT = 30.0
"""Seconds within which the engine has to answer, by default."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine tells of a container: its full *id*; *pid* is its first process's on the engine's machine.

    A paused container is running, too; without a *pid* (0) there is no process in it.
    """

    id: str
    pid: int
    paused: bool


@dataclass(frozen=True, slots=True)
class ExecState:
    """What the engine tells of an exec; *pid* is its first process's on the engine's machine, 0 if there never was one.

    *exit_code* is None until the engine knows it; *container_id* is the full one.
    """

    container_id: str
    running: bool
    exit_code: int | None
    pid: int

    @property
    def ended(self) -> bool:
        """Whether the exit code is final."""
        return not self.running and self.exit_code is not None

    @property
    def never_started(self) -> bool:
        """Whether the command could not be run; the output is then the runtime's text, on stdout."""
        return self.ended and self.pid == 0 and self.exit_code in (126, 127)


class Engine:
    """A Docker Engine.

    *address* is as in DOCKER_HOST (``unix:///path``, ``tcp://host:port``); None takes DOCKER_HOST from the environment,
    else /var/run/docker.sock. DOCKER_TLS_VERIFY and DOCKER_CERT_PATH count in any case. *timeout* bounds each request,
    and whatever else the engine is waited for, in seconds; *connections* are kept for the next ones.

    Raises EngineUnavailableError if it does not answer, SettingsError if the address makes no sense.
    """

    def __init__(self, address: str | None = None, *, timeout: float = TIMEOUT, connections: int = 10) -> None:
        self.timeout = timeout
        environment = dict(os.environ)
        if address:
            environment["DOCKER_HOST"] = address
        self.address = environment.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
        if self.address.startswith("ssh://"):
            raise SettingsError("an engine cannot be reached by ssh:// here: forward its socket (ssh -L) and use that")
        try:
            options = kwargs_from_env(environment=environment)
            with gevent.Timeout(timeout, TimeoutError("no answer in time")):
                self.api = docker.APIClient(
                    options.get("base_url", self.address),
                    version="auto",
                    # Of a single read. Ours is for the whole answer, and comes first.
                    timeout=timeout + 1,  # type: ignore[arg-type]  # whole seconds in its types only
                    tls=options.get("tls", False),
                    max_pool_size=connections,
                )
            # A third of a request's CPU time would go to finding out whether a proxy is to be used for the socket.
            self.api.trust_env = not self.address.startswith("unix://")
        except (docker.errors.TLSParameterError, ValueError) as error:
            raise SettingsError(f"the engine's address or TLS settings are wrong: {error}") from error
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
            raise EngineUnavailableError(
                f"no Docker Engine answers at {self.address}: start it, ask to be let in to its socket, "
                "or name another (--docker-host, --docker-socket, DOCKER_HOST)"
            ) from error

    def container_state(self, name: str) -> ContainerState:
        """Return the state of the container *name* (a name, an id or an unambiguous beginning of one).

        API: GET /containers/(id)/json. Raises ContainerNotFoundError, EngineUnavailableError, EngineError.
        """
        with self._request():
            try:
                answer = self.api.inspect_container(name)
            except docker.errors.NotFound as error:
                raise ContainerNotFoundError(
                    f"the engine has no container {name!r}: start it, or name another (docker ps tells which run)"
                ) from error
            state = answer.get("State") or {}
            return ContainerState(answer["Id"], state.get("Pid") or 0, bool(state.get("Paused")))

    def create_exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        environment: Sequence[str],
        user: str = "",
        stdin: bool = False,
        tty: bool = False,
    ) -> str:
        """Create an exec and return its id (API: POST /containers/(id)/exec).

        *environment* has ``NAME=VALUE`` strings; an empty *user* is the container's own.

        Raises ContainerNotFoundError, EngineUnavailableError, EngineError (a container that is not running, say).
        """
        with self._request():
            try:
                created = self.api.exec_create(
                    container,
                    list(argv),
                    stdin=stdin,
                    tty=tty,
                    user=user,
                    environment=list(environment),
                    # The engine's default, Ctrl-P Ctrl-Q, would withhold a Ctrl-P and end the session with a made-up
                    # code. There is no "none": this sequence is one that nobody types.
                    detach_keys="ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_" if tty else None,
                )
            except docker.errors.NotFound as error:
                raise ContainerNotFoundError("the container is gone") from error
            return str(created["Id"])

    def start_exec(self, exec_id: str, *, tty: bool) -> HijackedStream:
        """Start an exec and return its stream (API: POST /exec/(id)/start).

        Raises EngineUnavailableError, EngineError.
        """
        with self._request():
            return HijackedStream(self.api.exec_start(exec_id, tty=tty, socket=True), self.timeout)

    def exec_state(self, exec_id: str) -> ExecState:
        """Return the state of an exec (API: GET /exec/(id)/json).

        Raises EngineUnavailableError, EngineError (an exec that is long over is forgotten, too).
        """
        with self._request():
            answer = self.api.exec_inspect(exec_id)
            container = answer.get("ContainerID", "")
            return ExecState(container, answer["Running"], answer["ExitCode"], answer.get("Pid") or 0)

    def resize_exec(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of an exec's terminal (API: POST /exec/(id)/resize).

        Raises EngineUnavailableError, EngineError (the exec may not have started yet).
        """
        with self._request():
            self.api.exec_resize(exec_id, height=rows, width=columns)

    @contextlib.contextmanager
    def _request(self) -> Iterator[None]:
        """Bound the time of what is asked in the ``with`` block, and make its errors this package's own."""
        late = EngineTimeoutError(f"the Docker Engine did not answer within {self.timeout:g} s")
        try:
            with gevent.Timeout(self.timeout, late):
                yield
        except docker.errors.APIError as error:
            raise EngineError(str(error.explanation or error).strip()) from error
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
            raise EngineUnavailableError("the Docker Engine does not answer") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EngineError("the Docker Engine gave an answer that makes no sense") from error
