"""A client's identity, and the interface of the functions that establish it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dockerexec_ws.access.policy import Narrowing

Environ = dict[str, Any]
"""A WSGI environ (PEP 3333)."""

LOCAL_ADDRESS = "dockerexec_ws.local_address"
"""The environ's key for the IP address at which the connection arrived, "" if that is unknown."""

PEER_CERTIFICATE = "dockerexec_ws.peer_certificate"
"""The environ's key for the client's verified certificate, as ``ssl.SSLSocket.getpeercert`` returns it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The *name* of an authenticated client. *narrowing* restricts its sessions within the policy."""

    name: str
    narrowing: Narrowing = field(default_factory=Narrowing)


Authenticator = Callable[[Environ], Identity | str | None]
"""Gets the WSGI environ of a request. Returns the client's identity, or None if it does not recognise the client."""
