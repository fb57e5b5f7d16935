"""The address and origin of a request, and the host it is for, as far as they can be trusted."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from dockerexec_ws.access.identity import LOCAL_ADDRESS, Environ
from dockerexec_ws.errors import SettingsError

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# What proxies, load balancers and content delivery networks add to a request that they forward.
_FORWARDING = (
    *("Forwarded", "Via", "X-Forwarded", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-ProxyUser-IP"),
    *("True-Client-IP", "X-Cloud-Trace-Context"),
)
_FORWARDING_FAMILIES = (
    *("X-Forwarded-", "X-Original-", "X-Envoy-", "X-Amzn-", "X-Azure-", "X-ARR-", "X-Vercel-", "X-Sucuri-"),
    *("CF-", "CDN-", "CloudFront-", "Fastly-", "Fly-", "Akamai-", "Incap-"),
)


def _keys(names: Sequence[str]) -> tuple[str, ...]:
    return tuple("HTTP_" + name.upper().replace("-", "_") for name in names)


_FORWARDING_KEYS, _FORWARDING_PREFIXES = frozenset(_keys(_FORWARDING)), _keys(_FORWARDING_FAMILIES)
_BRACKETED = re.compile(r"\[([^\]]*)\](?::[0-9]+)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(address: str) -> bool:
    """Whether only processes on this machine can have or reach the address; "" is a unix socket's."""
    parsed = parse_address(address)
    return not address or (parsed is not None and parsed.is_loopback)


def is_loopback_name(host: str) -> bool:
    """Whether the host name *host* always means the machine that uses it (RFC 6761 section 6.3)."""
    name = host.lower().rstrip(".")
    return name in _LOOPBACK_NAMES or name.endswith(".localhost") or bool(name and is_loopback(name.strip("[]")))


def was_forwarded(environ: Environ) -> bool:
    """Whether a request says that a proxy forwarded it. A proxy that adds no header cannot be seen."""
    return any(key in _FORWARDING_KEYS or key.startswith(_FORWARDING_PREFIXES) for key in environ)


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return *text* as an address, or None. An IPv4 address mapped to IPv6 is returned as IPv4."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, ipaddress.IPv6Address) else parsed


def _hop_address(hop: str) -> str | None:
    """Return the address in an element of X-Forwarded-For. Some proxies add a port, and brackets for IPv6."""
    text = hop.strip()
    if bracketed := _BRACKETED.fullmatch(text):
        text = bracketed[1]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return None if parse_address(text) is None else text


class TrustedProxies:
    """Reverse proxies, by network (``10.0.0.0/8``), whose headers about the forwarded client are trusted."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = []
        for network in networks:
            try:
                self._networks.append(ipaddress.ip_network(network))
            except ValueError as error:
                raise SettingsError(
                    f"{network!r} is not a network of trusted proxies. Give a network such as 10.0.0.0/8."
                ) from error

    def sent(self, environ: Environ) -> bool:
        """Whether a request comes from a trusted proxy."""
        return self._is_trusted(environ.get("REMOTE_ADDR", ""))

    def client_address(self, environ: Environ) -> str:
        """Return the client's address: the nearest one that is not a trusted proxy's."""
        return self._client(environ)[0]

    def _client(self, environ: Environ) -> tuple[str, bool]:
        """Return the client's address, and whether it is known: a trusted proxy may send what is not an address."""
        address: str = environ.get("REMOTE_ADDR", "")
        hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        while self._is_trusted(address) and hops:
            nearest = _hop_address(hops.pop())
            if nearest is None:
                return address, False
            address = nearest
        return address, True

    def is_from_this_machine(self, environ: Environ) -> bool:
        """Whether a program on this machine sent the request, as far as that can be known.

        It keeps out clients on other machines that reach the server through a proxy on this one. A forwarded request
        counts only if a trusted proxy says that its client is on this machine.
        """
        if not is_loopback(_remote(environ)):
            return False
        if not was_forwarded(environ):
            return True
        address, known = self._client(environ)
        return self.sent(environ) and "HTTP_X_FORWARDED_FOR" in environ and known and is_loopback(address)

    def host(self, environ: Environ) -> str:
        """Return the host, perhaps with a port, that the client addressed; "" if the request names none."""
        return str(self._forwarded(environ, "HOST") or environ.get("HTTP_HOST", ""))

    def scheme(self, environ: Environ) -> str | None:
        """Return "http" or "https"; None if it is unknown, because there may be a proxy in between."""
        scheme = self._forwarded(environ, "PROTO")
        if scheme is None and not self.sent(environ):
            scheme = environ.get("wsgi.url_scheme") if self._networks or not is_loopback(_remote(environ)) else None
        return {"ws": "http", "wss": "https"}.get(scheme or "", scheme)

    def _forwarded(self, environ: Environ, name: str) -> str | None:
        if not self.sent(environ):
            return None
        value = environ.get(f"HTTP_X_FORWARDED_{name}", "").split(",")[-1].strip()
        return value or None

    def _is_trusted(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def same_origin(origin: str, host: str, scheme: str | None) -> bool:
    """Whether *origin* is that of a page from *host* (RFC 6454). A *scheme* of None matches either."""
    try:
        theirs = urlsplit(origin)
        ours = urlsplit(f"{scheme or theirs.scheme}://{host}")
        return bool(theirs.hostname) and (theirs.scheme, theirs.hostname, _port(theirs)) == (
            ours.scheme,
            ours.hostname,
            _port(ours),
        )
    except ValueError:  # not a URL; its port may not be a number
        return False


def allowed_host(host: str, environ: Environ, allowed: Sequence[str]) -> bool:
    """Whether *host*, as a client addressed it, is in *allowed*, a loopback name or the address where it arrived.

    This stops DNS rebinding: a page whose name was made to resolve to this machine sends its own name.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    local = str(environ.get(LOCAL_ADDRESS, "")).lower()
    return (
        bool(name)
        and "@" not in host
        and (name in _LOOPBACK_NAMES or name == local or name in [each.lower() for each in allowed])
    )


def _port(url: SplitResult) -> int | None:
    return url.port or _DEFAULT_PORTS.get(url.scheme)


def _remote(environ: Environ) -> str:
    return str(environ.get("REMOTE_ADDR", ""))
