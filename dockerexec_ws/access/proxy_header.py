"""The header in which a trusted proxy names the client (``identity_header``)."""

import logging
from collections.abc import Sequence
from typing import Self

from dockerexec_ws.access.identity import Environ, Identity
from dockerexec_ws.access.peer import TrustedProxies
from dockerexec_ws.settings.schema import AccessSettings

logger = logging.getLogger(__name__)


class ProxyHeader:
    """Identifies a client by the header *name* of a trusted proxy. A request with two such headers is refused."""

    def __init__(self, name: str, trusted_proxies: Sequence[str]) -> None:
        self._key = "HTTP_" + name.upper().replace("-", "_")
        self._proxies = TrustedProxies(trusted_proxies)

    @classmethod
    def of(cls, settings: AccessSettings) -> Self | None:
        """Return the header that the settings name. Raises SettingsError."""
        return cls(settings.identity_header, settings.trusted_proxy) if settings.identity_header else None

    def __call__(self, environ: Environ) -> Identity | None:
        """Return the identity that the proxy names."""
        value = environ.get(self._key, "").strip()
        if not value or not self._proxies.sent(environ):
            return None
        if "," in value:  # WSGI servers join two headers so, and the client may have sent one of them
            logger.warning("the identity header of a trusted proxy came twice or contains a comma: it was not used")
            return None
        return Identity(value)
