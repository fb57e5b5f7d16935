"""Decides whether a request gets in, and for which identity, before the engine is asked anything."""

import ipaddress
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dockerexec_ws.access.identity import Authenticator, Environ, Identity
from dockerexec_ws.access.peer import TrustedProxies, allowed_host, is_loopback_name, parse_address, same_origin
from dockerexec_ws.access.policy import Narrowing
from dockerexec_ws.access.rate import Rate
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.errors import SettingsError

STRANGER = (
    "Only clients on the server's machine can connect, and not through a proxy, because the server does not "
    "authenticate clients. The server's operator can change that with --token-file, --trusted-proxy or "
    "--allow-unauthenticated."
)

HOST_HINT = "A proxy in front of it has to pass on the Host header (nginx: proxy_set_header Host $http_host)."
"""What to change in a proxy, if requests name a foreign host or come from the page of a foreign host."""

MOST_FAILURES = 10
"""Failed authentications in a minute after which further failures of an address are slowed down."""

SLOW = 1.0
"""Seconds that a client then waits for each refusal, so that a program that tries in a loop costs little.

This does not protect a short secret, because a client can try many in parallel. Tokens are too long to be guessed.
"""


@dataclass(frozen=True, slots=True)
class Client:
    """A client that was let in. *identity* is None if no authentication is required; *origin* is its web page's."""

    identity: Identity | None
    address: str
    origin: str | None

    @property
    def name(self) -> str | None:
        """The name of its identity, if it has one."""
        return None if self.identity is None else self.identity.name

    @property
    def quota_keys(self) -> tuple[str, str]:
        """The keys by which its sessions are counted: its identity's ("" if it has none) and its address's."""
        return "" if self.name is None else f"identity {self.name}", f"address {self.address}"

    @property
    def narrowing(self) -> Narrowing:
        """How its credentials narrow the policy."""
        return Narrowing() if self.identity is None else self.identity.narrowing


class Admission:
    """Decides on requests.

    Without *authenticators* only clients on this machine get in, unless *allow_unauthenticated* is true.
    *allow_origins* and *allow_hosts* are in addition to the server's own; "*" allows any.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        allow_unauthenticated: bool = False,
        allow_origins: Sequence[str] = (),
        allow_hosts: Sequence[str] = (),
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self._authenticators = list(authenticators)
        self._allow_unauthenticated = allow_unauthenticated
        self._allow_origins = tuple(origin.rstrip("/").lower() for origin in allow_origins)
        self._allow_hosts = tuple(allow_hosts)
        self._proxies = TrustedProxies(trusted_proxies)
        self._failures = Rate(MOST_FAILURES)
        if not (self._authenticators or self._allow_unauthenticated):
            self._refuse_foreign_hosts()

    def _refuse_foreign_hosts(self) -> None:
        """Raise SettingsError if the server is to go by a name that clients on other machines use."""
        foreign = [host for host in self._allow_hosts if not is_loopback_name(host)]
        if foreign:
            raise SettingsError(
                f"Clients on other machines use the name {foreign[0]} (--allow-host), and nobody would have to "
                "authenticate. Authenticate clients (--token-file, for example), or give --allow-unauthenticated."
            )

    def address(self, environ: Environ) -> str:
        """Return the client's address, as logs show it."""
        return self._proxies.client_address(environ)

    def admit(self, environ: Environ) -> Client:
        """Return the client that sent the request. Raises RefusedError: 403, 401 or 429."""
        self.check(environ)
        address = self.address(environ)
        return Client(self._authenticate(environ, address), address, environ.get("HTTP_ORIGIN"))

    def check(self, environ: Environ) -> None:
        """Check everything except the client's credentials. Raises RefusedError: 403."""
        self._check_host(environ)
        self._check_origin(environ)
        self._check_machine(environ)

    def check_for_file(self, environ: Environ) -> None:
        """Check a request for a file of the page, which any web page may ask for. Raises RefusedError: 403.

        The files hold no secret, and no browser shows them to another site. A browser sends an Origin with its requests
        for modules. Behind a proxy that does not pass on the Host header, it is not the server's own, and the page
        could not tell its user why.
        """
        self._check_host(environ)
        self._check_machine(environ)

    def _check_host(self, environ: Environ) -> None:
        """Protect the container from web pages whose name was made to resolve to this machine (DNS rebinding)."""
        host = self._proxies.host(environ)
        if "*" not in self._allow_hosts and not allowed_host(host, environ, self._allow_hosts):
            raise RefusedError(
                403,
                f"This server is not known by that host name. {HOST_HINT} The server's operator can allow other names "
                "with --allow-host.",
            )

    def _check_origin(self, environ: Environ) -> None:
        """Protect the container from other sites' web pages, which could connect with their visitors' credentials."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and not self._may_come_from(origin, self._proxies.host(environ), environ):
            raise RefusedError(
                403,
                f"Connections from web pages at {origin} are not allowed, because this server is not there. "
                f"{HOST_HINT} The server's operator can allow other pages with --allow-origin.",
            )

    def _check_machine(self, environ: Environ) -> None:
        """Protect the container from other machines, if clients do not have to authenticate."""
        if self._authenticators or self._allow_unauthenticated:
            return
        if not self._proxies.is_from_this_machine(environ):
            raise RefusedError(403, STRANGER)

    def _may_come_from(self, origin: str, host: str, environ: Environ) -> bool:
        if origin == "null":  # any sandboxed page sends this
            return False
        if "*" in self._allow_origins or origin.lower() in self._allow_origins:
            return True
        return same_origin(origin, host, self._proxies.scheme(environ))

    def _authenticate(self, environ: Environ, address: str) -> Identity | None:
        if not self._authenticators:
            return None
        # Right credentials always pass. Otherwise a client could lock out all others behind the same address.
        for authenticator in self._authenticators:
            found = authenticator(environ)
            identity = Identity(found) if isinstance(found, str) else found
            if identity is not None and identity.name:  # an authenticator often returns "" for a missing header
                return identity
        network = _network(address)
        if wait := self._failures.wait(network):
            time.sleep(SLOW)
            headers = [("Retry-After", str(math.ceil(wait)))]
            raise RefusedError(429, "Too many failed authentications. Try again later.", headers)
        self._failures.note(network)
        raise RefusedError(401, "Authentication is needed.", [("WWW-Authenticate", "Bearer")])


def _network(address: str) -> str:
    """Return the key by which failures are counted. For IPv6 it is a /64 network, because one client has all of it."""
    parsed = parse_address(address)
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed and parsed.version == 6 else address
