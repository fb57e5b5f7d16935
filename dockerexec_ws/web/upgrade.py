"""The way from a WSGI request to a WebSocket: the opening handshake (RFC 6455 section 4.2)."""

import http
from collections.abc import Sequence

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from dockerexec_ws.access.identity import Environ
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.net.websocket import WebSocket
from dockerexec_ws.parser_logging import frameless_logger
from dockerexec_ws.protocol.versions import choose, codec_of
from dockerexec_ws.web.carriers import Carrier

_VERSION = "13"


def upgrade(
    environ: Environ,
    carrier: Carrier,
    *,
    max_size: int,
    compress: bool,
    ping_interval: float,
    ping_timeout: float,
) -> WebSocket:
    """Answer the opening handshake, unless the carrier did, and return the open connection.

    *max_size* limits a message, in bytes; a compressed one by its size once decompressed. With *compress*,
    permessage-deflate (RFC 7692) is used with a client that offers it. Times are in seconds. After the connection's end
    the application has to return ``carrier.finish()``. Raises RefusedError: nothing was answered yet.
    """
    # The server has read the request, so this parser is for frames only.
    protocol = ServerProtocol(state=State.OPEN, max_size=max_size, logger=frameless_logger)
    if not carrier.upgraded:
        extensions = enable_server_permessage_deflate(None) if compress else None
        handshake = ServerProtocol(
            extensions=extensions, select_subprotocol=_select_subprotocol, logger=frameless_logger
        )
        response = handshake.accept(_request(environ))
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            raise _refusal(environ, response)
        protocol.extensions = handshake.extensions
        protocol.subprotocol = handshake.subprotocol
        protocol.writes.append(response.serialize())
    sock, early = carrier.take_socket()
    return WebSocket(
        sock,
        protocol,
        max_size=max_size,
        prefix=codec_of(protocol.subprotocol).STDIN_PREFIX,
        early=early,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
    )


def _select_subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Select the protocol's version, if the client offers one, as a browser with a token does. Never echo the token."""
    chosen = choose(offered)
    return None if chosen is None else Subprotocol(chosen)


def _request(environ: Environ) -> Request:
    headers = Headers()
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            try:
                headers[key[5:].replace("_", "-")] = value
            except InvalidHeader as error:  # a lone CR, for example
                raise RefusedError(400, "A header is malformed.") from error
    protocols = [protocol.strip().lower() for protocol in environ.get("HTTP_UPGRADE", "").split(",")]
    if "websocket" in protocols:  # perhaps beside others (RFC 9110 section 7.8), which the parser does not take
        del headers["Upgrade"]
        headers["Upgrade"] = "websocket"
    if environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        raise RefusedError(400, "A request for a WebSocket has no body.")
    return Request(
        path=environ.get("PATH_INFO", ""),
        headers=headers,
        method=environ["REQUEST_METHOD"],
        protocol=environ["SERVER_PROTOCOL"],
    )


def _refusal(environ: Environ, response: Response) -> RefusedError:
    status = response.status_code
    headers = [(name, response.headers[name]) for name in ("Allow", "Upgrade") if name in response.headers]
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION", _VERSION) != _VERSION:  # RFC 6455 section 4.2.2
        status = http.HTTPStatus.UPGRADE_REQUIRED
        headers = [("Sec-WebSocket-Version", _VERSION), ("Upgrade", "websocket")]
    elif status == http.HTTPStatus.HTTP_VERSION_NOT_SUPPORTED:  # HTTP/1.0 is served, but cannot be upgraded
        status = http.HTTPStatus.UPGRADE_REQUIRED
        headers = [("Upgrade", "websocket")]
    return RefusedError(status, response.body.decode().strip(), headers)
