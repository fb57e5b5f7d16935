"""The HTTP proxy before the server: which one to use, and a connection through it (CONNECT, RFC 9110 section 9.3.6)."""

import base64
import http.client
import ipaddress
import socket
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from dockerexec_ws.client.failures import printable
from dockerexec_ws.errors import ConnectionLost, SettingsError


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy, and what lets the client in. As text it is without the password."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def proxy_for(host: str, port: int, *, secure: bool, proxy: str | bool) -> Proxy | None:
    """Return the proxy to *host*, or None for a direct connection. *secure* says whether the connection has TLS.

    *proxy* is a URL, False for none, or True to follow the environment. Raises SettingsError.
    """
    if proxy is True:
        return _proxy_of_environment(host, port, secure=secure)
    return _parse(proxy, "The proxy's URL") if proxy else None


def connect_through(proxy: Proxy, host: str, port: int, timeout: float) -> socket.socket:
    """Return a connection to *host* and *port* through *proxy*. Raises ConnectionLost, TimeoutError."""
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=timeout)
    headers = {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
    connection.set_tunnel(f"[{host}]" if ":" in host else host, port, headers)
    try:
        connection.connect()
    except TimeoutError:
        connection.close()
        raise
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        connection.close()
        reason = printable(str(error))
        rejected = any(status in reason for status in (" 401 ", " 407 "))  # tinyproxy answers a wrong password with 401
        advice = ". Put a user and a password into the proxy's URL: http://USER:PASSWORD@HOST:PORT"
        raise ConnectionLost(
            f"cannot connect to {host}:{port} by the proxy {proxy}: {reason}{advice if rejected else ''}"
        ) from None  # a traceback would show the proxy's bytes as they are
    sock: socket.socket = connection.sock
    return sock


def _proxy_of_environment(host: str, port: int, *, secure: bool) -> Proxy | None:
    """Return the proxy that the environment names. Nothing at a loopback address is behind a proxy."""
    proxies = urllib.request.getproxies()
    name = next(
        (name for name in (("wss", "https", "all") if secure else ("ws", "http", "all")) if name in proxies), None
    )
    if name is None or _bypassed(host, port, proxies.get("no", "")):
        return None
    return _parse(proxies[name], f"The environment's {name.upper()}_PROXY")


def _bypassed(host: str, port: int, no_proxy: str) -> bool:
    entries = [entry.strip() for entry in no_proxy.split(",")]
    if host == "localhost" or "*" in entries:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(urllib.request.proxy_bypass(f"{host}:{port}"))
    return address.is_loopback or any(_names(entry, address, port) for entry in entries)


def _names(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> bool:
    """Return whether *entry* of NO_PROXY is *address*, that with its *port*, or a network with it."""
    if entry in (f"{address}:{port}", f"[{address}]:{port}"):
        return True
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # the name of a host
        return False


def _parse(url: str, what: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:  # for example, a port that is not a number
        parts, host, port = urlsplit(""), None, None
    rest = (parts.path, parts.query, parts.fragment)
    if not host or not url.isprintable() or rest not in (("", "", ""), ("/", "", "")):
        raise SettingsError(f"{what} is not that of a proxy. Use http://HOST:PORT, or no proxy.")
    if parts.scheme != "http":
        raise SettingsError(
            f"{what} names a proxy of another kind: {printable(parts.scheme)}. Use http://HOST:PORT, or no proxy."
        )
    if parts.username is None:
        return Proxy(host, port or 80)
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(host, port or 80, f"Basic {base64.b64encode(credentials.encode()).decode()}")
