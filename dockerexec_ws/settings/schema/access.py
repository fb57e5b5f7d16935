"""The table ``access``: which clients get in."""

# ruff: noqa: RUF009  # option() is a dataclass's field()

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.kinds import File, Flag, Many, Text, Whole
from dockerexec_ws.settings.option import Record, option


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
