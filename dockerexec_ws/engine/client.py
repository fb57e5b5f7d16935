"""The connection to a Docker Engine, by docker-py: what it can be asked, and its errors as this package's own."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

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
        raise SettingsError(
            "give the engine as an address (docker_host) or as a unix socket's path (docker_socket), not both"
        )
    return f"unix://{docker_socket}" if docker_socket else docker_host or None


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine tells of a container: its full *id*; *pid* is its first process's on the engine's machine.

    A paused container is running, too; without a *pid* (0) there is no process in it.
    """

    id: str
    pid: int = 0
    paused: bool = False
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


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

    def __init__(self, address: str | None = None, *, timeout: float, connections: int = 10) -> None:
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

    def close(self) -> None:
        """Close the connections to the engine that wait for a next request. Idempotent."""
        self.api.close()

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
            return ContainerState(
                answer["Id"],
                state.get("Pid") or 0,
                bool(state.get("Paused")),
                answer.get("Name", "").removeprefix("/"),
                (answer.get("Config") or {}).get("Labels") or {},
            )

    def create_exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        environment: Sequence[str],
        user: str = "",
        workdir: str = "",
        privileged: bool = False,
        stdin: bool = False,
        tty: bool = False,
        size: tuple[int, int] | None = None,
    ) -> str:
        """Create an exec and return its id (API: POST /containers/(id)/exec).

        *environment* has ``NAME=VALUE`` strings; an empty *user* or *workdir* is the container's own. *size* is the
        terminal's rows and columns; before API 1.42 (``sizes_at_create``) it has no effect.

        Raises ContainerNotFoundError, EngineUnavailableError, EngineError (a container that is not running, say).
        """
        data = {
            "AttachStdin": stdin,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": tty,
            "Cmd": list(argv),
            "Env": list(environment),
            "User": user,
            "WorkingDir": workdir,
            "Privileged": privileged,
        }
        if tty:
            # The engine's default, Ctrl-P Ctrl-Q, would withhold a Ctrl-P and end the session with a made-up code.
            # There is no "none": this sequence is one that nobody types.
            data["DetachKeys"] = "ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_"
        if size is not None and self.sizes_at_create:
            data["ConsoleSize"] = list(size)
        # docker-py's exec_create has no parameter for ConsoleSize; it is a requests.Session.
        url = f"{self.api.base_url}/v{self.api.api_version}/containers/{quote(container, safe='')}/exec"
        with self._request():
            response = self.api.post(url, json=data, timeout=self.timeout + 1)
            try:
                response.raise_for_status()
            except requests.exceptions.HTTPError as error:
                if response.status_code == HTTPStatus.NOT_FOUND:
                    raise ContainerNotFoundError("the container is gone") from error
                docker.errors.create_api_error_from_http_exception(error)
            return str(response.json()["Id"])

    @property
    def sizes_at_create(self) -> bool:
        """Whether a terminal can have its size from the beginning: since API 1.42."""
        return tuple(map(int, self.api.api_version.split("."))) >= (1, 42)

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
