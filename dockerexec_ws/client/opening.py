"""Opening a session: the URL, and the opening handshake of the WebSocket (RFC 6455 section 4)."""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidHeaderValue, InvalidStatus, InvalidURI
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from dockerexec_ws.client.failures import printable
from dockerexec_ws.client.proxy import Proxy, connect_through, proxy_for
from dockerexec_ws.client.transport import Transport
from dockerexec_ws.errors import ConnectionLost, SessionRefused, SettingsError
from dockerexec_ws.parser_logging import frameless_logger
from dockerexec_ws.protocol.versions import offers

LARGEST_MESSAGE = 32 * 1024 * 1024
"""Limit of a message from the server, in bytes. Real messages are far smaller."""

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_LONGEST_REASON = 500  # characters of the body of a refusal


def session_url(
    url: str,
    argv: Sequence[str],
    *,
    tty: bool = False,
    size: tuple[int, int] | None = None,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    privileged: bool = False,
) -> str:
    """Return the URL that runs *argv*. A query that *url* already has stays before it.

    *url* may also be that of the server's page (http, https). *size* is rows and columns. Raises SettingsError.
    """
    try:
        url.encode()
        parts = urlsplit(url)
        is_url = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # for example, a port that is not a number, or a URL that is not UTF-8 text
        is_url = False
    if not is_url:
        raise SettingsError("This is not the URL of a server. Use a URL like ws://HOST:PORT/PATH.")
    if isinstance(argv, str):
        raise SettingsError("The command must be a sequence of words, not one string.")
    fields = [("tty", "true" if tty else "false"), *(("command", word) for word in argv)]
    if size is not None:
        fields += [("rows", str(size[0])), ("columns", str(size[1]))]
    fields += [(name, value) for name, value in (("user", user), ("workdir", workdir)) if value is not None]
    fields += [("env", f"{name}={value}") for name, value in (env or {}).items()]
    if privileged:
        fields.append(("privileged", "true"))
    given = [_encoded(name, value) for name, value in fields]
    query = "&".join(filter(None, [parts.query, *given]))
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, parts.path, query, ""))


def _encoded(name: str, value: str) -> str:
    try:
        return urlencode([(name, value)], quote_via=quote)
    except UnicodeEncodeError as error:  # Python decodes bytes of argv that are not UTF-8 to characters like \udcff
        raise SettingsError(f"{name}: this is not UTF-8 text. Only UTF-8 can be sent.") from error


_HINTS = {
    404: ". Check the path in the URL.",
    414: ". The command is longer than the server, or a proxy before it, accepts.",
    426: ". A proxy before the server may not pass on WebSocket upgrades. It has to use HTTP/1.1.",
    502: ". A proxy cannot reach the server.",
    503: ". Try again later.",
    504: ". A proxy got no answer from the server.",
}
"""What an HTTP status without a text of the server's probably means."""


def open_websocket(
    url: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | bool = True,
    timeout: float = 30.0,
) -> tuple[Transport, ClientProtocol]:
    """Connect and do the opening handshake within *timeout* seconds.

    *token* is sent as ``Authorization: Bearer``. *proxy* is as for ``proxy_for``. Raises SettingsError, SessionRefused
    (the server answered with an HTTP status instead of the upgrade), ConnectionLost.
    """
    try:
        uri = parse_uri(url)
    except InvalidURI as error:  # a user without a password
        raise SettingsError(error.msg) from error
    subprotocols = [Subprotocol(name) for name in offers()] or None
    protocol = ClientProtocol(uri, subprotocols=subprotocols, max_size=LARGEST_MESSAGE, logger=frameless_logger)
    request = protocol.connect()
    given = dict(headers or {})
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    for name, value in given.items():
        if not _set_header(request.headers, name, value):
            what = "the token" if name == "Authorization" and token is not None else f"the header {name!r}"
            raise SettingsError(f"{what} contains a character that cannot be sent. Use printable ASCII only.")
    protocol.send_request(request)
    deadline = time.monotonic() + timeout
    by = proxy_for(uri.host, uri.port, secure=uri.secure, proxy=proxy)
    where = f"{uri.host}:{uri.port}{f' (by the proxy {by})' if by else ''}"
    transport = None
    try:
        transport = Transport(_connect(uri, by, ssl_context, where, deadline))
        _shake_hands(transport, protocol, where, deadline)
    except BaseException as error:
        if transport is not None:
            transport.close()
        if isinstance(error, TimeoutError):
            raise ConnectionLost(f"{where} did not answer within {timeout:g} s") from error
        if isinstance(error, OSError):
            raise ConnectionLost(f"the connection to {where} broke: {_reason(error)}{_try_tls(uri)}") from error
        raise
    return transport, protocol


def _set_header(headers: Headers, name: str, value: str) -> bool:
    """Return whether a request can have this header. Raise nothing, because a traceback would show the value."""
    if not name.isascii() or not name.isprintable():
        return False
    if name in headers:
        del headers[name]
    try:
        headers[name] = value
    except InvalidHeaderValue:
        return False
    return True


def _connect(
    uri: WebSocketURI, proxy: Proxy | None, ssl_context: ssl.SSLContext | None, where: str, deadline: float
) -> socket.socket:
    timeout = max(deadline - time.monotonic(), 0.001)
    if proxy is not None:
        sock = connect_through(proxy, uri.host, uri.port, timeout)
    else:
        try:
            sock = socket.create_connection((uri.host, uri.port), timeout)
        except (OSError, UnicodeError) as error:  # UnicodeError: the name cannot be that of a host
            raise ConnectionLost(f"cannot connect to {where}: {_reason(error)}") from error
    if not uri.secure:
        return sock
    context = ssl.create_default_context() if ssl_context is None else ssl_context
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    try:
        return context.wrap_socket(sock, server_hostname=uri.host)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        sock.close()
        raise ConnectionLost(f"TLS with {where} failed: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    return getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error) or "timed out"


def _shake_hands(transport: Transport, protocol: ClientProtocol, where: str, deadline: float) -> None:
    for data in protocol.data_to_send():
        transport.write(data, deadline)
    buffer = memoryview(bytearray(4096))
    response = None
    while response is None and protocol.handshake_exc is None:
        size = transport.read_into(buffer, deadline - time.monotonic())
        if size is None:
            raise TimeoutError
        if size:
            protocol.receive_data(bytes(buffer[:size]))
        else:
            protocol.receive_eof()
        # What comes after the response belongs to the session. It stays in the protocol's events.
        response = next(iter(protocol.events), None)
    if response is not None:
        del protocol.events[0]
    match protocol.handshake_exc:
        case None:
            return
        case InvalidStatus():
            raise _refusal(protocol.handshake_exc.response)
        case InvalidHandshake() | EOFError() as error:
            reason = printable(str(error))
            # Without the cause, because a traceback would show the server's bytes as they are.
            raise ConnectionLost(f"{where} is not a WebSocket server: {reason}{_try_tls(protocol.uri)}") from None
        case error:
            raise ConnectionLost(printable(str(error))) from None


def _refusal(response: Response) -> SessionRefused:
    """Return the refusal for an HTTP response. A server of this package answers in plain text; a proxy may not."""
    status = response.status_code
    text = ""
    if response.headers.get("Content-Type", "").startswith("text/plain"):
        text = bytes(response.body).decode(errors="replace").strip()[:_LONGEST_REASON]
    if not text.isprintable() or not text:
        text = f"HTTP {status} {http.client.responses.get(status, '')}".strip() + _HINTS.get(status, "")
    return SessionRefused(text, status=status)


def _try_tls(uri: WebSocketURI) -> str:
    """Return a hint for a connection without TLS that ended in the handshake: a TLS server does that."""
    return "" if uri.secure else ". If it expects TLS, use wss:// in the URL."
