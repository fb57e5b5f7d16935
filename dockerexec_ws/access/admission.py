"""Whether a request gets in, and as whose: the one place that decides, before the engine is asked anything."""

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dockerexec_ws.access.identity import Authenticator, Environ, Identity
from dockerexec_ws.access.peer import TrustedProxies, allowed_host, is_loopback, parse_address, same_origin
from dockerexec_ws.access.policy import Narrowing
from dockerexec_ws.access.rate import Rate
from dockerexec_ws.access.refusal import RefusedError

MOST_FAILURES = 10
"""Failures to authenticate in a minute after which an address has to wait."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who has got in: *identity* is None where nobody has to tell; *origin* is that of the web page it came from."""

    identity: Identity | None
    address: str
    origin: str | None

    @property
    def name(self) -> str | None:
        """The name of its identity."""
        return None if self.identity is None else self.identity.name

    @property
    def quota_keys(self) -> tuple[str, str]:
        """What its sessions are counted by, per identity ("" if it has none) and per address."""
        return "" if self.name is None else f"identity {self.name}", f"address {self.address}"

    @property
    def narrowing(self) -> Narrowing:
        """What its credentials leave it of the policy."""
        return Narrowing() if self.identity is None else self.identity.narrowing


class Admission:
    """Decides on requests.

    Without *authenticators* only this machine gets in, unless *allow_unauthenticated*. *allow_origins* and
    *allow_hosts* are in addition to the own ones; "*" allows any.
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

    def address(self, environ: Environ) -> str:
        """Return the address of the client, as it is to be told in logs."""
        return self._proxies.client_address(environ)

    def admit(self, environ: Environ) -> Client:
        """Return who the request comes from. Raises RefusedError: 403, 401 or 429."""
        self.check(environ)
        address = self.address(environ)
        return Client(self._authenticate(environ, address), address, environ.get("HTTP_ORIGIN"))

    def check(self, environ: Environ) -> None:
        """Check all but who the request comes from, where clients have to tell that. Raises RefusedError: 403."""
        host = self._proxies.host(environ)
        if "*" not in self._allow_hosts and not allowed_host(host, environ, self._allow_hosts):
            raise RefusedError(403, "This server does not go by that host name (--allow-host).")
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and not self._may_come_from(origin, host, environ):
            raise RefusedError(403, "Pages of that origin may not connect (--allow-origin).")
        address = self.address(environ)
        if not (
            self._authenticators
            or self._allow_unauthenticated
            or (is_loopback(address) and is_loopback(environ.get("REMOTE_ADDR", "")))
        ):
            raise RefusedError(403, "Without authentication only this machine may connect (--allow-unauthenticated).")

    def _may_come_from(self, origin: str, host: str, environ: Environ) -> bool:
        if origin == "null":  # no page's own: any sandboxed one's
            return False
        if "*" in self._allow_origins or origin.lower() in self._allow_origins:
            return True
        return same_origin(origin, host, self._proxies.scheme(environ))

    def _authenticate(self, environ: Environ, address: str) -> Identity | None:
        if not self._authenticators:
            return None
        network = _network(address)
        if wait := self._failures.wait(network):
            raise RefusedError(429, "Too many failures to authenticate.", [("Retry-After", str(math.ceil(wait)))])
        for authenticator in self._authenticators:
            found = authenticator(environ)
            identity = Identity(found) if isinstance(found, str) else found
            if identity is not None and identity.name:  # a header that is not there is often ""
                return identity
        self._failures.note(network)
        raise RefusedError(401, "Authentication is needed.", [("WWW-Authenticate", "Bearer")])


def _network(address: str) -> str:
    """Return what failures are counted by: one client has all addresses of an IPv6 network."""
    parsed = parse_address(address)
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed and parsed.version == 6 else address
