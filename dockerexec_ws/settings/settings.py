"""The settings of an application, whoever gives them: the command line, the environment or a program."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dockerexec_ws.access.identity import Authenticator
from dockerexec_ws.access.policy import Command
from dockerexec_ws.engine.client import TIMEOUT
from dockerexec_ws.engine.killer import GRACE
from dockerexec_ws.errors import SettingsError

LEAST_OUTPUT_LIMIT = 64 * 1024

ON_DISCONNECT = ("kill", "leave")

_SEQUENCES = (
    "wrapper_command",
    "authenticators",
    "allow_origin",
    "allow_host",
    "trusted_proxy",
    "allow_container",
    "allow_container_label",
    "allow_command",
    "allow_user",
    "allow_workdir",
    "allow_env",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an application can be told; times are in seconds, sizes in bytes. Raises SettingsError.

    - ``path``: the URL's path, with or without its leading slash; None makes one that nobody can guess;
    - ``page``: whether a browser that opens the path gets a page with a terminal;
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

    Who gets in:

    - ``authenticators``: functions that get the WSGI environ and return an ``Identity``, or its name, or None;
    - ``token_file``: tokens, ``IDENTITY:SHA256HEX`` a line; ``jwt_key_file``, ``jwt_issuer``, ``jwt_audience``: signed
      ones; ``identity_header``: the header in which a trusted proxy gives the identity;
    - ``allow_unauthenticated``: whether without any of these other machines get in, too;
    - ``allow_origin``, ``allow_host``: origins of web pages, and names of the server, beside its own ("*": any);
    - ``trusted_proxy``: networks of reverse proxies whose forwarded headers count;
    - ``max_sessions_per_identity``, ``max_sessions_per_address``, ``max_starts_per_minute`` (for each of both); 0: no
      limit but ``max_sessions``.

    What may be asked for, as patterns of a shell:

    - ``allow_container``, ``allow_container_label`` (``KEY`` or ``KEY=VALUE``): the containers among which the client
      chooses, where there is not one for all; ``allow_own_container``: whether also the one that the server runs in;
    - ``allow_command``: patterns of a first word, or exact sequences of words; ``allow_user``, ``allow_workdir``,
      ``allow_env`` (names); ``allow_tty``, ``allow_privileged``;
    - ``read_only``: whether clients may only look on: stdin is refused.

    ``audit_log``: the file, or "-" for stderr; unless ``audit_optional``, no session starts when it cannot be written.
    """

    path: str | None = None
    page: bool = True
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
    authenticators: Sequence[Authenticator] = ()
    token_file: Path | str | None = None
    jwt_key_file: Path | str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    identity_header: str | None = None
    allow_unauthenticated: bool = False
    allow_origin: Sequence[str] = ()
    allow_host: Sequence[str] = ()
    trusted_proxy: Sequence[str] = ()
    max_sessions_per_identity: int = 0
    max_sessions_per_address: int = 0
    max_starts_per_minute: int = 0
    allow_container: Sequence[str] = ()
    allow_container_label: Sequence[str] = ()
    allow_own_container: bool = False
    allow_command: Sequence[Command] = ("*",)
    allow_tty: bool = True
    allow_user: Sequence[str] = ()
    allow_workdir: Sequence[str] = ()
    allow_env: Sequence[str] = ()
    allow_privileged: bool = False
    read_only: bool = False
    audit_log: Path | str | None = None
    audit_optional: bool = False

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
        for name in _SEQUENCES:
            if isinstance(getattr(self, name), str):
                raise SettingsError(f"{name} is a sequence, not one string")
        for name in ("max_sessions_per_identity", "max_sessions_per_address", "max_starts_per_minute"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must be at least 0")
        if any(not command for command in self.allow_command):
            raise SettingsError("allow_command: a command is not empty")
        jwt = self.jwt_key_file, self.jwt_issuer, self.jwt_audience
        if any(jwt) and not all(jwt):
            raise SettingsError("jwt_key_file, jwt_issuer and jwt_audience come together")
        if self.identity_header and not self.trusted_proxy:
            raise SettingsError("identity_header needs a trusted_proxy, whose word it is")
        if self.audit_optional and not self.audit_log:
            raise SettingsError("audit_optional needs an audit_log")
