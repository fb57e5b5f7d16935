"""Why an engine cannot be reached, in words that say what to do."""

import errno
import resource
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import docker
import requests

_NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL
_USED_UP = (errno.EMFILE, errno.ENFILE)

_REFUSED_CERTIFICATE = (
    "The engine at {address} refused our certificate. Put one that its authority signed into cert.pem and key.pem in "
    "DOCKER_CERT_PATH."
)
_TLS_PORT = 2376
_LOOK = 5.0  # seconds
_MOST_NAMES = 10

CHOOSE = "or name another engine (--docker-host, --docker-socket, DOCKER_HOST)"


def why_unreachable(error: BaseException, address: str, timeout: float, *, tls: bool) -> str:
    """Return what happened, why, and what to do, for an *error* of the first request to the engine at *address*.

    *timeout* is in seconds; *tls* is whether TLS was used. The text holds nothing that came from the engine.
    """
    if is_out_of_descriptors(error):
        return out_of_descriptors()
    for cause in _causes(error):
        told = _of_tls(cause, address) or _of_connection(cause, address, timeout, tls=tls) or _of_answer(cause, address)
        if told:
            return told
    return f"No Docker Engine answers at {address}. Start it, {CHOOSE}."


def out_of_descriptors() -> str:
    """Return the text for a server that cannot open a connection because it has no file descriptor left."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"the server has no file descriptors left (limit {limit})"


def is_out_of_descriptors(error: BaseException) -> bool:
    """Return whether *error* comes from a lack of file descriptors."""
    return any(isinstance(cause, OSError) and cause.errno in _USED_UP for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what led to *error*, the innermost first, and the error itself.

    Libraries wrap what the kernel and OpenSSL say, some of them only as an argument.
    """
    found = [error]
    for each in found:
        for inner in (each.__cause__, each.__context__, *each.args):
            if isinstance(inner, BaseException) and inner not in found:
                found.append(inner)
    return reversed(found)


def _of_tls(error: BaseException, address: str) -> str | None:
    match error:
        case ssl.SSLCertVerificationError(verify_code=code) if code in _NAME_MISMATCH:
            return (
                f"The certificate of the engine at {address} was made for other names: {_names_of(address)}. Use one "
                "of them in the address, or give the engine a certificate for this one."
            )
        case ssl.SSLCertVerificationError():
            return (
                f"The certificate of the engine at {address} is not vouched for by ca.pem: {error.verify_message}. "
                "Put the authority that signed it into ca.pem in DOCKER_CERT_PATH."
            )
        case ssl.SSLError() if "ALERT" in str(error):
            return _REFUSED_CERTIFICATE.format(address=address)
        case ssl.SSLError():
            return (
                f"The engine at {address} does not speak TLS there. Unset DOCKER_TLS_VERIFY, or use the "
                "engine's TLS port, which often is 2376."
            )
    return None


def _names_of(address: str) -> str:
    """Return the names in the certificate of the engine at *address*, which is only looked at here, not trusted."""
    from cryptography import x509  # imported late, because it takes long and is rarely needed

    parts = urlsplit(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or _TLS_PORT), _LOOK) as sock,
            context.wrap_socket(sock) as encrypted,
        ):
            certificate = x509.load_der_x509_certificate(encrypted.getpeercert(binary_form=True) or b"")
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return "none that can be read"
    names = [ascii(str(name.value))[1:-1] for name in extension.value]
    return ", ".join(names[:_MOST_NAMES])


def _of_connection(error: BaseException, address: str, timeout: float, *, tls: bool) -> str | None:
    match error:
        case PermissionError():
            return (
                f"This user may not use the engine's socket at {address}. Add the user to the socket's group, often "
                f"docker, {CHOOSE}."
            )
        case FileNotFoundError():
            return f"There is no engine's socket at {address}. Start the engine, {CHOOSE}."
        case ConnectionRefusedError():
            return f"Nothing listens at {address}: connection refused. Start the engine, {CHOOSE}."
        case ConnectionError() if tls:  # the engine refused our certificate, and was gone before we read that
            return _REFUSED_CERTIFICATE.format(address=address)
        case ConnectionError():
            return (
                f"The engine at {address} broke off the connection. If it expects TLS, set DOCKER_TLS_VERIFY and "
                "DOCKER_CERT_PATH."
            )
        case socket.gaierror():
            return f"The host name in {address} cannot be resolved ({error.strerror}). Correct it, {CHOOSE}."
        case TimeoutError():
            return (
                f"The engine at {address} gave no answer within {timeout:g} s. Look whether it hangs, raise "
                f"--engine-timeout, {CHOOSE}."
            )
    return None


def _of_answer(error: BaseException, address: str) -> str | None:
    match error:
        case docker.errors.InvalidVersion():
            return f"The engine at {address} is too old: {error} Use Docker Engine 1.12 or later."
        case requests.exceptions.HTTPError():
            status = error.response.status_code if error.response is not None else "an error"
            return (
                f"What answers at {address} refused to tell its version ({status}). If it is a proxy, "
                f"let it pass GET /version, {CHOOSE}."
            )
        case ValueError():  # no JSON
            return f"What answers at {address} is no Docker Engine. Correct the address, {CHOOSE}."
    return None
