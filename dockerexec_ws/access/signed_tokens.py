"""Signed tokens that identify clients (``jwt_key_file``, ``jwt_issuer``, ``jwt_audience``)."""

import codecs
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dockerexec_ws.access.bearer import BearerAuthenticator
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.policy import Narrowing
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.schema import AccessSettings

logger = logging.getLogger(__name__)

CLAIM = "dockerexec_ws"
"""The claim of a signed token that narrows its sessions."""

_LEEWAY = 10.0  # seconds that clocks may differ
_SHORTEST_SECRET = 32  # bytes; RFC 7518 section 3.2


class SignedTokens(BearerAuthenticator):
    """Signed tokens that expire (JWT, RFC 7519), from one *issuer* for one *audience*.

    *key_file* contains a public key in PEM (RSA, EC, Ed25519, Ed448) or a secret of at least 32 bytes. The claim
    ``dockerexec_ws`` can narrow the token's sessions. Raises SettingsError.
    """

    def __init__(self, key_file: Path, *, issuer: str, audience: str) -> None:
        try:
            data = key_file.read_bytes().removeprefix(codecs.BOM_UTF8)  # Windows writes it into text files
        except OSError as error:
            raise SettingsError(f"the key file {key_file} cannot be read: {error.strerror}") from error
        # Each kind of key allows its own algorithms only. A public key accepted as a secret would be no secret.
        self._key, self._algorithms = _key(data, key_file)
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def of(cls, settings: AccessSettings) -> Self | None:
        """Return an authenticator for the signed tokens that the settings describe. Raises SettingsError."""
        # AccessSettings has checked that all three are set, or none.
        if not settings.jwt_key_file or settings.jwt_issuer is None or settings.jwt_audience is None:
            return None
        return cls(Path(settings.jwt_key_file), issuer=settings.jwt_issuer, audience=settings.jwt_audience)

    def identify(self, token: str) -> Identity | None:
        """Return who *token* was signed for."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=self._algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            if not claims["sub"]:
                raise ValueError("sub is empty")
            return Identity(claims["sub"], narrowing_of(claims.get(CLAIM, {})))
        except (jwt.InvalidTokenError, ValueError) as error:
            logger.info("a signed token was refused: %s", type(error).__name__)
            return None


def _key(data: bytes, path: Path) -> tuple[Any, list[str]]:
    if b"-----BEGIN" not in data:
        if len(data.strip()) < _SHORTEST_SECRET:
            raise SettingsError(
                f"the secret in the key file {path} is too short. Use at least {_SHORTEST_SECRET} random bytes."
            )
        return data.strip(), ["HS256", "HS384", "HS512"]
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"the key file {path} contains no public key in PEM. Give a public key or a secret."
        ) from error
    if isinstance(key, rsa.RSAPublicKey):
        return key, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key, ["ES256", "ES384", "ES512"]
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key, ["EdDSA"]
    raise SettingsError(
        f"the key in the key file {path} is of a kind that cannot sign tokens. Use RSA, EC, Ed25519 or Ed448."
    )


def narrowing_of(claim: object) -> Narrowing:
    """Return what the claim ``dockerexec_ws`` narrows. Raises ValueError if any part of it is not understood."""
    if not isinstance(claim, Mapping):
        raise ValueError("the claim is not an object")
    if unknown := set(claim) - {"container", "command", "user", "tty", "deadline"}:
        raise ValueError(f"unknown: {sorted(unknown)}")
    containers = claim.get("container")
    deadline = _checked(claim.get("deadline"), int | float)
    return Narrowing(
        containers=_strings([containers] if isinstance(containers, str) else containers),
        command=_strings(claim.get("command")),
        user=_checked(claim.get("user"), str),
        tty=_checked(claim.get("tty"), bool),
        deadline=None if deadline is None else float(deadline),
    )


def _strings(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError("not a list of strings")
    return tuple(value)


def _checked(value: Any, kind: Any) -> Any:
    if value is not None and (not isinstance(value, kind) or value == ""):
        raise ValueError("of the wrong type, or empty")
    return value
