"""A file of tokens that identify clients (``token_file``)."""

import hashlib
import hmac
import logging
import re
import secrets
from pathlib import Path
from typing import Self

from dockerexec_ws.access.bearer import BearerAuthenticator
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.schema import AccessSettings

logger = logging.getLogger(__name__)

_LINE = re.compile(r"([^:\s][^:]*):([0-9a-f]{64})")


def new_token(identity: str) -> tuple[str, str]:
    """Return a new token and its line for a token file. Raises SettingsError if *identity* cannot be in one."""
    token = secrets.token_urlsafe(32)
    line = f"{identity}:{_digest(token)}"
    if not _LINE.fullmatch(line):
        raise SettingsError(
            f"{identity!r} cannot be an identity. Give a name without a colon that does not begin with a space."
        )
    return token, line


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class TokenFile(BearerAuthenticator):
    """A file of tokens, one ``IDENTITY:SHA256HEX`` a line. Empty lines and lines that begin with # are ignored.

    The file is read again after it has changed. A line that is not valid then identifies nobody, nor does a file that
    cannot be read. The constructor raises SettingsError in both cases.
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

    @classmethod
    def of(cls, settings: AccessSettings) -> Self | None:
        """Return the file that the settings name. Raises SettingsError."""
        return cls(Path(settings.token_file)) if settings.token_file else None

    def identify(self, token: str) -> Identity | None:
        """Return who *token* belongs to."""
        self._read_again()
        digest = _digest(token)
        found = None
        for identity, expected in self._tokens:  # always all of them, so that the time taken reveals nothing
            if hmac.compare_digest(digest, expected):
                found = Identity(identity)
        return found

    def _read_again(self) -> None:
        try:
            faults = self._read()
        except OSError as error:
            if self._version is not None:
                logger.error("the token file %s cannot be read, so it lets nobody in: %s", self._path, error.strerror)
            self._version, self._tokens = None, []
            return
        for fault in faults:
            logger.error("the token file %s: %s, so that line lets nobody in", self._path, fault)

    def _read(self) -> list[str]:
        """Read the file if it has changed, and return its faults. Raises OSError."""
        state = self._path.stat()
        version = state.st_mtime_ns, state.st_size, state.st_ino
        if version == self._version:
            return []
        tokens, faults = [], []
        content = self._path.read_text(encoding="utf-8-sig", errors="replace")  # Windows writes a byte order mark
        for number, text in enumerate(content.splitlines(), 1):
            line = text.strip()
            if match := _LINE.fullmatch(line):
                tokens.append((match[1], match[2]))
            elif line and not line.startswith("#"):
                faults.append(f"line {number} is not IDENTITY:SHA256HEX, as `dockerexec-ws token IDENTITY` makes one")
        self._tokens, self._version = tokens, version
        return faults
