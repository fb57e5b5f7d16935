"""The ways to authenticate. A new one is a module, a line in ``_WAYS``, and its options in ``settings.schema``."""

from collections.abc import Callable, Sequence

from dockerexec_ws.access import client_certificate
from dockerexec_ws.access.bearer import BearerAuthenticator
from dockerexec_ws.access.identity import Authenticator
from dockerexec_ws.access.proxy_header import ProxyHeader
from dockerexec_ws.access.token_file import TokenFile
from dockerexec_ws.settings.schema import AccessSettings


def _signed_tokens(settings: AccessSettings) -> Authenticator | None:
    if not settings.jwt_key_file:
        return None
    # Imported late, because jwt and cryptography take a tenth of the time that a start takes.
    from dockerexec_ws.access.signed_tokens import SignedTokens

    return SignedTokens.of(settings)


# Each returns None if its options are not set. They are asked in this order.
_WAYS: Sequence[Callable[[AccessSettings], Authenticator | None]] = (
    client_certificate.of,
    TokenFile.of,
    _signed_tokens,
    ProxyHeader.of,
)


def authenticators_of(settings: AccessSettings) -> list[Authenticator]:
    """Return the authenticators that the settings ask for, the caller's own first. Raises SettingsError."""
    found = (way(settings) for way in _WAYS)
    return [*settings.authenticators, *(authenticator for authenticator in found if authenticator is not None)]


def token_need(authenticators: Sequence[Authenticator]) -> str:
    """Return whether a client needs a bearer token: "required", "optional" or "none"."""
    bearer = [isinstance(authenticator, BearerAuthenticator) for authenticator in authenticators]
    return "none" if not any(bearer) else "required" if all(bearer) else "optional"
