"""Bearer tokens: where a request carries one, tokens in a file, and signed ones (JWT)."""

import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dockerexec_ws.access.identity import Environ, Identity
from dockerexec_ws.access.policy import Narrowing
from dockerexec_ws.errors import SettingsError

logger = logging.getLogger(__name__)

TOKEN_SUBPROTOCOL = "base64url.bearer.authorization.dockerexec-ws."  # nosec B105  # a prefix, no secret
"""How the second subprotocol begins by which a browser gives its token, in base64url without padding."""

CLAIM = "dockerexec_ws"
"""The claim of a signed token that narrows the session."""

_LINE = re.compile(r"([^:\s][^:]*):([0-9a-f]{64})")
_LEEWAY = 10.0  # seconds that clocks may differ
_SHORTEST_SECRET = 32  # bytes; RFC 7518 section 3.2


def bearer_token(environ: Environ) -> str | None:
    """Return the token that a request carries; None if it carries none, or more than one.

    RFC 6750 section 2.1, or by a subprotocol, since a browser's WebSocket cannot set a header.
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


def new_token(identity: str) -> tuple[str, str]:
    """Return a new token and the line by which a token file knows it. Raises SettingsError."""
    token = secrets.token_urlsafe(32)
    line = f"{identity}:{_digest(token)}"
    if not _LINE.fullmatch(line):
        raise SettingsError("an identity is not empty, does not begin with a space and has no colon in it")
    return token, line


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class TokenFile:
    """Tokens in a file, ``IDENTITY:SHA256HEX`` a line, empty lines and those that begin with # apart.

    It is read again when it has changed; what cannot be read lets nobody in. Raises SettingsError at first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._tokens: list[tuple[str, str]] = []  # identity and digest
        try:
            faults = self._read()
        except OSError as error:
            raise SettingsError(f"the token file {path} cannot be read: {error.strerror}") from error
        if faults:
            raise SettingsError(f"the token file {path}: {faults[0]}")

    def __call__(self, environ: Environ) -> Identity | None:
        """Return who the request's token belongs to."""
        token = bearer_token(environ)
        if token is None:
            return None
        self._read_again()
        digest = _digest(token)
        found = None
        for identity, expected in self._tokens:  # all of them: the time taken tells nothing
            if hmac.compare_digest(digest, expected):
                found = Identity(identity)
        return found

    def _read_again(self) -> None:
        try:
            faults = self._read()
        except OSError as error:
            if self._version is not None:
                logger.error("the token file %s lets nobody in: %s", self._path, error.strerror)
            self._version, self._tokens = None, []
            return
        for fault in faults:
            logger.error("the token file %s: %s; it lets nobody in", self._path, fault)

    def _read(self) -> list[str]:
        """Read the file if it has changed; return what is wrong with it. Raises OSError."""
        state = self._path.stat()
        version = state.st_mtime_ns, state.st_size, state.st_ino
        if version == self._version:
            return []
        tokens, faults = [], []
        for number, text in enumerate(self._path.read_text(errors="replace").splitlines(), 1):
            line = text.strip()
            if match := _LINE.fullmatch(line):
                tokens.append((match[1], match[2]))
            elif line and not line.startswith("#"):
                faults.append(f"line {number} is not IDENTITY:SHA256HEX (dockerexec-ws token IDENTITY makes one)")
        self._tokens, self._version = tokens, version
        return faults


class SignedTokens:
    """Signed tokens that expire (JWT, RFC 7519), of one *issuer* for one *audience*.

    *key_file* has a public key in PEM (RSA, EC, Ed25519, Ed448), or a secret of at least 32 bytes. The claim
    ``dockerexec_ws`` may narrow the session. Raises SettingsError.
    """

    def __init__(self, key_file: Path, *, issuer: str, audience: str) -> None:
        try:
            data = key_file.read_bytes()
        except OSError as error:
            raise SettingsError(f"the key file {key_file} cannot be read: {error.strerror}") from error
        # Each kind of key with its own algorithms only: a public key taken for a secret is everybody's secret.
        self._key, self._algorithms = _key(data, key_file)
        self._issuer = issuer
        self._audience = audience

    def __call__(self, environ: Environ) -> Identity | None:
        """Return who the request's token was signed for."""
        token = bearer_token(environ)
        if token is None:
            return None
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
            raise SettingsError(f"the key file {path} has a secret of less than {_SHORTEST_SECRET} bytes")
        return data.strip(), ["HS256", "HS384", "HS512"]
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"the key file {path} has no public key in PEM") from error
    if isinstance(key, rsa.RSAPublicKey):
        return key, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key, ["ES256", "ES384", "ES512"]
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key, ["EdDSA"]
    raise SettingsError(f"the key file {path} has a key of a kind that signs no tokens")


def narrowing_of(claim: object) -> Narrowing:
    """Return what the claim ``dockerexec_ws`` narrows. Raises ValueError: one that is not understood lets nobody in."""
    if not isinstance(claim, Mapping):
        raise ValueError("the claim is no object")
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
        raise ValueError("of a wrong type, or empty")
    return value
