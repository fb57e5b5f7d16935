"""The certificate that a client shows to the server's own TLS (``client_ca``)."""

from dockerexec_ws.access.identity import PEER_CERTIFICATE, Authenticator, Environ, Identity
from dockerexec_ws.settings.schema import AccessSettings, ListenSettings


def of(settings: AccessSettings) -> Authenticator | None:
    """Return ``certificate_name`` if the server asks for certificates. An application under another server does not."""
    return certificate_name if isinstance(settings, ListenSettings) and settings.client_ca else None


def certificate_name(environ: Environ) -> Identity | None:
    """Return the name in the client's certificate: the common name, or else the first alternative name."""
    certificate = environ.get(PEER_CERTIFICATE) or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    names += [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "email", "URI")]
    return Identity(names[0]) if names and names[0] else None
