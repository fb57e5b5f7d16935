"""The server's own TLS: its certificate, and those of clients."""

import ssl
from pathlib import Path

from dockerexec_ws.errors import SettingsError


class TlsFiles:
    """The files of the server's certificate, its key and the authorities for clients' certificates (all in PEM)."""

    def __init__(self, certfile: Path | str, keyfile: Path | str, client_ca: Path | str | None = None) -> None:
        self._certfile = certfile
        self._keyfile = keyfile
        self._client_ca = client_ca

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises SettingsError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # As elsewhere, the end of a connection between two records is accepted, even without a close_notify.
        context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        try:
            context.load_cert_chain(self._certfile, self._keyfile, password=_no_password)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
                # Not required, because clients may authenticate otherwise. If they do not, the application answers 401.
                context.verify_mode = ssl.CERT_OPTIONAL
        except (OSError, ValueError) as error:  # SSLError is an OSError
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise SettingsError(
                f"the TLS files cannot be used: {reason}. All are in PEM: certfile is a certificate with its chain, "
                "keyfile its key without a password, and client_ca the certificates of authorities."
            ) from error
        return context


def _no_password() -> str:
    raise ValueError("the key has a password")
