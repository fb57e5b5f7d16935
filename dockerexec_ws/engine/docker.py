"""The connection to a Docker Engine through docker-py, whose errors become this package's own."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import docker
import gevent
import requests
from docker.utils import kwargs_from_env
from urllib3.exceptions import HTTPError

from dockerexec_ws.engine.api_requests import ApiClient, ApiRequests
from dockerexec_ws.engine.stream import HijackedStream
from dockerexec_ws.engine.unreachable import is_out_of_descriptors, out_of_descriptors, why_unreachable
from dockerexec_ws.errors import (
    ContainerNotFoundError,
    EngineError,
    EngineTimeoutError,
    EngineUnavailableError,
    ExecNotFoundError,
    SettingsError,
)

DEFAULT_SOCKET = "/var/run/docker.sock"


def engine_address(docker_host: str | None, docker_socket: str | None) -> str | None:
    """Return the engine's address, which can be given in two ways. None if neither is given.

    Raises SettingsError if both are.
    """
    if docker_host and docker_socket:
        raise SettingsError(
            "docker_host and docker_socket both name an engine. Give its address (docker_host) or the path of its unix "
            "socket (docker_socket), not both."
        )
    return f"unix://{docker_socket}" if docker_socket else docker_host or None


@dataclass(frozen=True, slots=True)
class ContainerState:
    """The state of a container. *id* is the full one. *pid* is the first process's, on the engine's machine.

    A *pid* of 0 means that no process runs in the container. A paused container has one. Processes of a container that
    *shares_pids* may outlive it (moby issue 45120). *environment* has ``NAME=VALUE`` strings.
    """

    id: str
    pid: int = 0
    paused: bool = False
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    shares_pids: bool = False
    environment: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container in the engine's list. *id* is the full one."""

    id: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ExecState:
    """The state of an exec. *container_id* is the full one.

    *exit_code* is None until the engine knows it. *pid* is the first process's, on the engine's machine, or 0 if there
    never was a process.
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
        """Whether the command could not be run. The output is then the runtime's error message, on stdout."""
        return self.ended and self.pid == 0 and self.exit_code in (126, 127)


class Engine:
    """A Docker Engine.

    *address* is as in DOCKER_HOST (``unix:///path``, ``tcp://host:port``). If it is None, the environment's DOCKER_HOST
    is used, or else /var/run/docker.sock. DOCKER_TLS_VERIFY and DOCKER_CERT_PATH always apply. *timeout*, in seconds,
    bounds each request and every other wait for the engine. Up to *connections* connections are kept open for reuse.

    Raises EngineUnavailableError if no engine answers, SettingsError if the address or the TLS settings are wrong.
    """

    def __init__(self, address: str | None = None, *, timeout: float, connections: int = 10) -> None:
        self.timeout = timeout
        environment = dict(os.environ)
        if address:
            environment["DOCKER_HOST"] = address
        self.address = environment.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
        if self.address.startswith("ssh://"):
            raise SettingsError(
                "an engine's address with ssh:// is not supported. Forward the engine's socket with ssh -L, and give "
                "the address of the forwarded socket."
            )
        try:
            options = kwargs_from_env(environment=environment)
            tls = bool(options.get("tls"))
            with gevent.Timeout(timeout, TimeoutError("the engine did not answer in time")):
                self.api = ApiClient(
                    options.get("base_url", self.address),
                    version="auto",
                    timeout=timeout + 1,
                    tls=options.get("tls", False),
                    max_pool_size=connections,
                )
                # This timeout bounds each single read. Ours bounds the whole answer, and expires first.
                self._requests = ApiRequests(self.api, timeout + 1, connections)
        except (docker.errors.TLSParameterError, ValueError) as error:
            raise SettingsError(
                f"the engine's address or TLS settings are wrong ({error}). Check the address, DOCKER_TLS_VERIFY and "
                "DOCKER_CERT_PATH."
            ) from error
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
            raise EngineUnavailableError(why_unreachable(error, self.address, timeout, tls=tls)) from error

    def close(self) -> None:
        """Close the connections that are kept for reuse. Idempotent."""
        self._requests.close()
        self.api.close()

    def container_state(self, name: str) -> ContainerState:
        """Return the state of the container *name*, which is a name, an id, or an unambiguous beginning of an id.

        API: GET /containers/(id)/json. Raises ContainerNotFoundError, EngineUnavailableError, EngineError.
        """
        with self._request():
            answer = self._requests.ask(
                "GET",
                f"/containers/{quote(name, safe='')}/json",
                not_found=ContainerNotFoundError(
                    f"the engine has no container {name!r}. Start it, or give another name (docker ps lists them)."
                ),
            )
            state = answer.get("State") or {}
            config = answer.get("Config") or {}
            return ContainerState(
                answer["Id"],
                state.get("Pid") or 0,
                bool(state.get("Paused")),
                answer.get("Name", "").removeprefix("/"),
                config.get("Labels") or {},
                bool((answer.get("HostConfig") or {}).get("PidMode")),
                config.get("Env") or (),
            )

    def running_containers(self) -> list[RunningContainer]:
        """Return the containers that run and are not paused (API: GET /containers/json). Raises EngineError."""
        with self._request():
            return [
                # Names with a further slash are aliases that other containers gave it.
                RunningContainer(each["Id"], name.removeprefix("/"), each.get("Labels") or {})
                for each in self.api.containers(filters={"status": "running"})
                for name in each["Names"]
                if name.count("/") == 1
            ]

    def pids(self, container: str) -> set[int]:
        """Return the pids of a container's processes on the engine's machine (API: GET /containers/(id)/top).

        Raises EngineUnavailableError, EngineError (a proxy refuses the request, for example).
        """
        with self._request():
            return {int(fields[0]) for fields in self.api.top(container, "-eo pid")["Processes"]}

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

        *environment* has ``NAME=VALUE`` strings. An empty *user* or *workdir* stands for the container's own. *size* is
        the terminal's rows and columns. It has no effect before API 1.42 (``sizes_at_create``).

        Raises ContainerNotFoundError, EngineUnavailableError, EngineError (the container is not running, for example).
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
            # The engine's default, Ctrl-P Ctrl-Q, would hold back each Ctrl-P, and end the session with a made-up code.
            # Detach keys cannot be turned off, so set a sequence that nobody types.
            data["DetachKeys"] = "ctrl-@,ctrl-^,ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_"
        if size is not None and self.sizes_at_create:
            data["ConsoleSize"] = list(size)
        with self._request():
            answer = self._requests.ask(
                "POST",
                f"/containers/{quote(container, safe='')}/exec",
                data,
                not_found=ContainerNotFoundError("the container does not exist any longer"),
            )
            return str(answer["Id"])

    @property
    def sizes_at_create(self) -> bool:
        """Whether a terminal can have its size from the beginning (API 1.42 and later)."""
        return tuple(map(int, self.api.api_version.split("."))) >= (1, 42)

    def start_exec(self, exec_id: str, *, tty: bool) -> HijackedStream:
        """Start an exec and return its stream (API: POST /exec/(id)/start).

        Raises EngineUnavailableError, EngineError.
        """
        with self._request():
            answer = self._requests.hijack(f"/exec/{exec_id}/start", {"Tty": tty, "Detach": False})
            return HijackedStream(answer, self.timeout)

    def exec_state(self, exec_id: str) -> ExecState:
        """Return the state of an exec (API: GET /exec/(id)/json).

        Raises ExecNotFoundError (the engine forgets ended execs), EngineUnavailableError, EngineError.
        """
        with self._request():
            answer = self._requests.ask("GET", f"/exec/{exec_id}/json", not_found=ExecNotFoundError())
            container = answer.get("ContainerID", "")
            return ExecState(container, answer["Running"], answer["ExitCode"], answer.get("Pid") or 0)

    def resize_exec(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of an exec's terminal (API: POST /exec/(id)/resize).

        Raises EngineUnavailableError, EngineError (the exec may not have started yet).
        """
        with self._request():
            self._requests.ask("POST", f"/exec/{exec_id}/resize?h={rows}&w={columns}")

    @contextlib.contextmanager
    def _request(self) -> Iterator[None]:
        """Bound the time of a request in the ``with`` block, and turn its errors into this package's own."""
        late = EngineTimeoutError(f"the Docker Engine did not answer within {self.timeout:g} s")
        try:
            with gevent.Timeout(self.timeout, late):
                yield
        except docker.errors.APIError as error:
            raise EngineError(str(error.explanation or error).strip()) from error
        except (HTTPError, requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
            if is_out_of_descriptors(error):
                raise EngineUnavailableError(out_of_descriptors()) from error
            raise EngineUnavailableError("the Docker Engine does not answer") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EngineError("the Docker Engine's answer makes no sense") from error
