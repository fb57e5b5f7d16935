"""TLS of the server's own: its certificate, and those of clients."""

import ssl
from pathlib import Path

from dockerexec_ws.errors import SettingsError


class TlsFiles:
    """The files of a certificate and its key, and of the authorities whose clients' certificates count (all in PEM)."""

    def __init__(self, certfile: Path | str, keyfile: Path | str, client_ca: Path | str | None = None) -> None:
        self._certfile = certfile
        self._keyfile = keyfile
        self._client_ca = client_ca

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises SettingsError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # As other implementations do: an end between two records is an end, even without a close_notify.
        context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        try:
            context.load_cert_chain(self._certfile, self._keyfile, password=_no_password)
            if self._client_ca is not None:
                context.load_verify_locations(self._client_ca)
                # Not required: there may be other ways to tell who one is; without any, it is the application's 401.
                context.verify_mode = ssl.CERT_OPTIONAL
        except (OSError, ValueError) as error:  # SSLError is an OSError
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise SettingsError(
                f"the TLS files cannot be used ({reason}): certfile and keyfile are a certificate, perhaps with its "
                "chain, and its key without a password; client_ca are certificates of authorities; all in PEM"
            ) from error
        return context


def _no_password() -> str:
    raise ValueError("the key has a password")
