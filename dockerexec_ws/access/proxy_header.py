"""The header in which a trusted proxy names the client (``identity_header``)."""

import logging
from collections.abc import Sequence
from typing import Self

from dockerexec_ws.access.identity import Environ, Identity
from dockerexec_ws.access.peer import TrustedProxies
from dockerexec_ws.settings.schema import AccessSettings

logger = logging.getLogger(__name__)


class ProxyHeader:
    """The name that a trusted proxy gives in the header *name*; a second such header lets nobody in."""

    def __init__(self, name: str, trusted_proxies: Sequence[str]) -> None:
        self._key = "HTTP_" + name.upper().replace("-", "_")
        self._proxies = TrustedProxies(trusted_proxies)

    @classmethod
    def of(cls, settings: AccessSettings) -> Self | None:
        """Return the header that the settings name. Raises SettingsError."""
        return cls(settings.identity_header, settings.trusted_proxy) if settings.identity_header else None

    def __call__(self, environ: Environ) -> Identity | None:
        """Return who the proxy says that the request comes from."""
        value = environ.get(self._key, "").strip()
        if not value or not self._proxies.sent(environ):
            return None
        if "," in value:  # how a WSGI server joins two headers
            logger.warning("a trusted proxy's identity header came twice, or has a comma")
            return None
        return Identity(value)
