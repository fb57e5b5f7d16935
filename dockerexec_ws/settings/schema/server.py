"""The table ``server``: where a server listens, its TLS files, its log and its URL."""

# ruff: noqa: RUF009  # option() is a dataclass's field()

import socket
from dataclasses import dataclass, field
from pathlib import Path

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.kinds import File, Flag, OneOf, Seconds, Text, Whole
from dockerexec_ws.settings.option import Record, option


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
    max_request_line: int = option(
        256 * 1024,
        Whole(1024, 1024 * 1024),
        "Bytes of the longest request line a client may send. It holds the command.",
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
