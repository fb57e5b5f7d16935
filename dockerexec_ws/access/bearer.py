"""Bearer tokens: where a request carries one."""

import base64
import binascii

from dockerexec_ws.access.identity import Environ, Identity

TOKEN_SUBPROTOCOL = "base64url.bearer.authorization.dockerexec-ws."  # nosec B105  # a prefix, no secret
"""The prefix of the second subprotocol that a browser offers. Its token follows, in base64url without padding."""


class BearerAuthenticator:
    """A way to authenticate by the bearer token of a request; the page asks for one."""

    def __call__(self, environ: Environ) -> Identity | None:
        """Return who the request's token identifies."""
        token = bearer_token(environ)
        return None if token is None else self.identify(token)

    def identify(self, token: str) -> Identity | None:
        """Return who *token* identifies; None if it is not valid."""
        raise NotImplementedError


def bearer_token(environ: Environ) -> str | None:
    """Return the token that a request carries; None if it carries none or more than one.

    The token is in the Authorization header (RFC 6750 section 2.1) or in a subprotocol, because a browser's WebSocket
    cannot set that header.
    """
    tokens = set()
    scheme, _, credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        tokens.add(credentials.strip())
    for protocol in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(","):
        encoded = protocol.strip()
        if encoded.startswith(TOKEN_SUBPROTOCOL):
            encoded = encoded.removeprefix(TOKEN_SUBPROTOCOL)
            try:
                tokens.add(base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True).decode())
            except (binascii.Error, UnicodeError):
                return None
    return tokens.pop() if len(tokens) == 1 else None
