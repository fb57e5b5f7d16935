"""Every option, declared once. Its flag, variable, key in the policy file, check and manual entry come from here.

Each record is one table of the policy file, or a part of it. Times are in seconds, sizes in bytes.
"""

# ruff: noqa: RUF009  # option() is a dataclass's field()

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.kinds import (
    Command,
    File,
    Flag,
    Folder,
    Many,
    OneOf,
    Seconds,
    Text,
    TextPath,
    Whole,
    Words,
)
from dockerexec_ws.settings.option import Option, Record, option, options_of


@dataclass(frozen=True, kw_only=True)
class ListenSettings(Record):
    """Where a server by itself listens, and its TLS files. An application under another server has none of these.

    A program may give a *listener* instead of ``host`` and ``port``: a socket that listens already.
    """

    table = "server"

    listener: socket.socket | None = field(default=None)
    host: str = option("127.0.0.1", Text(), "Address to listen on.")
    port: int = option(8080, Whole(0, 65535), "Port to listen on; 0 takes a free one.")
    handshake_timeout: float = option(
        10.0,
        Seconds(positive=True),
        "Seconds that a client has for the TLS handshake, and then for the head of its request.",
    )
    certfile: Path | str | None = option(
        None, File(), "The server's certificate with its chain (PEM). It turns TLS on."
    )
    keyfile: Path | str | None = option(None, File(), "The certificate's key (PEM). SIGHUP reloads both files.")
    client_ca: Path | str | None = option(
        None,
        File(),
        "Certificates (PEM) of the authorities for clients' certificates. The name in a client's certificate "
        "identifies it.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.certfile) != bool(self.keyfile) or (self.client_ca and not self.certfile):
            raise SettingsError(
                "TLS files are missing: certfile and keyfile come together, and client_ca needs both. Give all of them."
            )


@dataclass(frozen=True, kw_only=True)
class LogSettings(Record):
    """What the command logs. A program sets up its own logging."""

    table = "server"

    log_level: str = option(
        "warning",
        OneOf(("debug", "info", "warning", "error"), any_case=True),
        "Lowest severity of the messages that are logged to stderr.",
    )


@dataclass(frozen=True, kw_only=True)
class UrlSettings(Record):
    """The application's URL, and the page that browsers get there."""

    table = "server"

    path: str | None = option(
        None, Text(), "Path of the URL, with or without its leading slash.", default_text="one that nobody can guess"
    )
    page: bool = option(True, Flag(), "Serve a page with a terminal to browsers that open the URL.")


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Record):
    """Which engine runs the commands. By default DOCKER_HOST names it, or else it is at /var/run/docker.sock."""

    table = "engine"

    docker_host: str | None = option(
        None, Text(), "Address of the engine, as in DOCKER_HOST (unix:///PATH or tcp://HOST:PORT).", metavar="URL"
    )
    docker_socket: str | None = option(
        None, TextPath(), "Path of the engine's unix socket, instead of its address.", metavar="PATH"
    )
    engine_timeout: float = option(30.0, Seconds(positive=True), "Seconds that the engine has to answer a request.")


@dataclass(frozen=True, kw_only=True)
class OneContainerSettings(Record):
    """One container for all sessions. A program gives it as the first argument instead."""

    table = "containers"

    container: str | None = option(None, Text(), "Name or id of the container in which commands run.", metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class ContainerSettings(Record):
    """The containers among which clients choose (patterns as in a shell)."""

    table = "containers"

    allow_container: Sequence[str] = option(
        (),
        Many(Text()),
        "Names of the containers among which clients choose, instead of one container. A client names one in the URL, "
        "as PATH/CONTAINER.",
        metavar="PATTERN",
    )
    allow_container_label: Sequence[str] = option(
        (),
        Many(Text()),
        "Label of the containers among which clients choose, instead of one container.",
        metavar="KEY[=VALUE]",
    )
    allow_own_container: bool = option(False, Flag(), "Also allow the container in which the server itself runs.")


@dataclass(frozen=True, kw_only=True)
class SessionSettings(Record):
    """How many sessions there are, how long they last, and what becomes of their processes."""

    table = "sessions"

    max_sessions: int = option(10, Whole(1), "Maximum number of sessions at the same time.")
    wrapper_command: Sequence[str] = option((), Words(), "Words to put before each client's command.", metavar="WORDS")
    max_message_size: int = option(16 * 1024 * 1024, Whole(1), "Maximum size of a message from a client, in bytes.")
    output_limit: int = option(
        8 * 1024 * 1024,
        Whole(64 * 1024),
        "Bytes of output to hold for a client that does not read. Beyond that, the process has to wait. With a tty the "
        "limit is at most 256 KiB.",
    )
    compress: bool = option(False, Flag(), "Compress messages (permessage-deflate) for clients that offer it.")
    ping_interval: float = option(
        20.0, Seconds(), "Seconds of silence after which the server sends a ping; 0: no pings."
    )
    ping_timeout: float = option(
        20.0, Seconds(positive=True), "Seconds of further silence after which the server considers the connection lost."
    )
    idle_timeout: float = option(
        0.0, Seconds(), "Seconds without input and output after which a session ends; 0: never."
    )
    max_duration: float = option(0.0, Seconds(), "Maximum duration of a session in seconds; 0: no limit.")
    max_output: int = option(0, Whole(0), "Maximum output of a session in bytes; 0: no limit.")
    on_disconnect: str = option(
        "kill",
        OneOf(("kill", "leave")),
        "What to do with a session's processes when its client or the server goes away.",
    )
    grace: float = option(0.5, Seconds(), "Seconds between SIGHUP and SIGKILL when the server ends a process.")
    state_dir: Path | str | None = option(
        None,
        Folder(),
        "Directory in which a running server keeps a record. If the server is killed, the next one finds the record "
        "and ends the processes that are left.",
        default_text="/var/lib/dockerexec-ws/instances; if not root, in ~/.local/state",
    )
    drain_timeout: float = option(0.0, Seconds(), "Seconds that sessions have to end by themselves after SIGTERM.")


@dataclass(frozen=True, kw_only=True)
class AccessSettings(Record):
    """Who gets in. ``authenticators`` are functions that get the WSGI environ.

    Each returns an ``Identity``, the identity's name, or None if it does not recognise the client.
    """

    table = "access"

    authenticators: Sequence[Callable[[dict[str, Any]], Any]] = field(default=())
    allow_unauthenticated: bool = option(
        False, Flag(), "Let in every client that reaches the port, also from other machines, without authentication."
    )
    allow_origin: Sequence[str] = option(
        (),
        Many(Text()),
        "Origin of web pages that may connect, in addition to the server's own; *: any.",
        metavar="ORIGIN",
    )
    allow_host: Sequence[str] = option(
        (),
        Many(Text()),
        "Host name by which clients may address the server, in addition to those of loopback; *: any.",
        metavar="NAME",
    )
    trusted_proxy: Sequence[str] = option(
        (), Many(Text()), "Network of reverse proxies whose X-Forwarded headers are trusted.", metavar="CIDR"
    )
    token_file: Path | str | None = option(
        None,
        File(),
        "File of tokens that identify clients, one IDENTITY:SHA256HEX a line. `dockerexec-ws token` makes such lines.",
    )
    jwt_key_file: Path | str | None = option(
        None, File(), "File with the public key (PEM) or the secret that verifies signed tokens (JWT)."
    )
    jwt_issuer: str | None = option(None, Text(), "Issuer that signed tokens must name.")
    jwt_audience: str | None = option(None, Text(), "Audience that signed tokens must name.")
    identity_header: str | None = option(
        None, Text(), "Header in which a trusted proxy names the client.", metavar="NAME"
    )
    max_sessions_per_identity: int = option(
        0, Whole(0), "Maximum number of sessions of an identity at the same time; 0: no limit but --max-sessions."
    )
    max_sessions_per_address: int = option(
        0, Whole(0), "Maximum number of sessions of an address at the same time; 0: no limit but --max-sessions."
    )
    max_starts_per_minute: int = option(
        0, Whole(0), "Maximum number of sessions that an identity or an address may start in a minute; 0: no limit."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.authenticators, Sequence) or not all(map(callable, self.authenticators)):
            raise SettingsError("authenticators: each has to be a function. Give a sequence of functions.")
        jwt = self.jwt_key_file, self.jwt_issuer, self.jwt_audience
        if any(jwt) and not all(jwt):
            raise SettingsError("jwt_key_file, jwt_issuer and jwt_audience come together. Give all three.")
        if self.identity_header and not self.trusted_proxy:
            raise SettingsError(
                "identity_header needs a trusted_proxy, because anyone else could send that header. Give the proxy's "
                "network."
            )


@dataclass(frozen=True, kw_only=True)
class RequestSettings(Record):
    """What a client may ask for (patterns as in a shell)."""

    table = "requests"

    allow_command: Sequence[str | Sequence[str]] = option(
        ("*",),
        Many(Command()),
        "Command that clients may run. One word is a pattern for the first word; several are a whole command.",
        metavar="WORDS",
    )
    allow_tty: bool = option(True, Flag(), "Let clients ask for a terminal.")
    allow_user: Sequence[str] = option((), Many(Text()), "User as which clients may run commands.", metavar="PATTERN")
    allow_workdir: Sequence[str] = option(
        (), Many(Text()), "Working directory that clients may choose.", metavar="PATTERN"
    )
    allow_env: Sequence[str] = option((), Many(Text()), "Environment variable that clients may set.", metavar="PATTERN")
    allow_privileged: bool = option(False, Flag(), "Let clients run privileged commands.")
    read_only: bool = option(False, Flag(), "Refuse stdin, so that clients can only watch.")


@dataclass(frozen=True, kw_only=True)
class AuditSettings(Record):
    """Where the audit log is kept."""

    table = "audit"

    audit_log: Path | str | None = option(
        None,
        TextPath(),
        "File to which the server writes a line of JSON for each start, refusal and end of a session; -: stderr.",
        metavar="FILE",
    )
    audit_optional: bool = option(False, Flag(), "Start sessions even if the audit log cannot be written.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.audit_optional and not self.audit_log:
            raise SettingsError("audit_optional needs an audit_log. Give one, or leave audit_optional out.")


RECORDS: tuple[type[Record], ...] = (
    ListenSettings,
    UrlSettings,
    LogSettings,
    EngineSettings,
    OneContainerSettings,
    ContainerSettings,
    SessionSettings,
    AccessSettings,
    RequestSettings,
    AuditSettings,
)

OPTIONS: tuple[Option, ...] = tuple(option for record in RECORDS for option in options_of(record))
"""All options, in the order of the manual."""

TABLES: dict[str, tuple[str, ...]] = {
    table: tuple(option.name for option in OPTIONS if option.table == table)
    for table in dict.fromkeys(record.table for record in RECORDS)
}
"""The options of each table, by their names in Python."""
