"""The settings of an application, whoever gives them: the command line, the environment or a program."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dockerexec_ws.engine.client import TIMEOUT
from dockerexec_ws.engine.killer import GRACE
from dockerexec_ws.errors import SettingsError

LEAST_OUTPUT_LIMIT = 64 * 1024

ON_DISCONNECT = ("kill", "leave")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an application can be told; times are in seconds, sizes in bytes. Raises SettingsError.

    - ``path``: the URL's path, with or without its leading slash; None makes one that nobody can guess;
    - ``docker_socket`` (a path) or ``docker_host`` (as DOCKER_HOST): the engine; by default DOCKER_HOST, then
      /var/run/docker.sock;
    - ``engine_timeout``: within which the engine has to answer each request;
    - ``max_sessions``: how many at a time;
    - ``wrapper_command``: words that go before each client's command;
    - ``max_message_size``: of the largest message taken from a client;
    - ``output_limit``: how much output is held for a client that does not read; beyond that its process waits (with a
      tty it is never more than 256 KiB);
    - ``compress``: whether to use permessage-deflate with clients that offer it;
    - ``ping_interval``, ``ping_timeout``: silence before a ping (0: never), and from it until the peer counts as dead;
    - ``idle_timeout``, ``max_duration``, ``max_output``: how long a session may move nothing, how long it may last, how
      much its process may write; 0: no limit;
    - ``on_disconnect``: "kill" ends a session's processes when its client is gone, "leave" lets them go on;
    - ``grace``: between SIGHUP and SIGKILL;
    - ``state_dir``: where the server is known to its successors, which end what its sessions leave if it is killed;
    - ``drain_timeout``: how long running sessions may end by themselves when the application closes.
    """

    path: str | None = None
    docker_socket: str | None = None
    docker_host: str | None = None
    engine_timeout: float = TIMEOUT
    max_sessions: int = 10
    wrapper_command: Sequence[str] = ()
    max_message_size: int = 16 * 1024 * 1024
    output_limit: int = 8 * 1024 * 1024
    compress: bool = False
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    idle_timeout: float = 0.0
    max_duration: float = 0.0
    max_output: int = 0
    on_disconnect: str = "kill"
    grace: float = GRACE
    state_dir: Path | str | None = None
    drain_timeout: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("max_sessions", 1), ("max_message_size", 1), ("output_limit", LEAST_OUTPUT_LIMIT)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} must be at least {least}")
        for name in ("ping_interval", "idle_timeout", "max_duration", "max_output", "grace", "drain_timeout"):
            if not 0 <= getattr(self, name) < math.inf:  # NaN is neither
                raise SettingsError(f"{name} must be a number, at least 0")
        for name in ("engine_timeout", "ping_timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{name} must be a number of seconds, more than 0")
        if self.on_disconnect not in ON_DISCONNECT:
            raise SettingsError(f"on_disconnect is one of {', '.join(ON_DISCONNECT)}")
        if isinstance(self.wrapper_command, str):
            raise SettingsError("wrapper_command is a sequence of words, not one string")
