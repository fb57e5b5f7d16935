"""Which ways to tell who one is the settings give."""

from collections.abc import Sequence
from pathlib import Path

from dockerexec_ws.access.admission import ProxyHeader
from dockerexec_ws.access.bearer import SignedTokens, TokenFile
from dockerexec_ws.access.identity import Authenticator
from dockerexec_ws.settings.schema import AccessSettings


def authenticators_of(settings: AccessSettings) -> list[Authenticator]:
    """Return them; reads their files. Raises SettingsError."""
    found = list(settings.authenticators)
    if settings.token_file:
        found.append(TokenFile(Path(settings.token_file)))
    if settings.jwt_key_file:
        assert settings.jwt_issuer is not None  # nosec B101  # for the type checker: AccessSettings has checked it
        assert settings.jwt_audience is not None  # nosec B101  # for the type checker: likewise
        key_file = Path(settings.jwt_key_file)
        found.append(SignedTokens(key_file, issuer=settings.jwt_issuer, audience=settings.jwt_audience))
    if settings.identity_header:
        found.append(ProxyHeader(settings.identity_header, settings.trusted_proxy))
    return found


def token_need(authenticators: Sequence[Authenticator]) -> str:
    """Return whether a client needs a bearer token: "required", "optional" or "none"."""
    bearer = [isinstance(authenticator, TokenFile | SignedTokens) for authenticator in authenticators]
    return "none" if not any(bearer) else "required" if all(bearer) else "optional"
