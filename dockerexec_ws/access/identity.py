"""Who a client is, and the one interface by which it is found out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dockerexec_ws.access.policy import Narrowing

Environ = dict[str, Any]
"""A WSGI environ (PEP 3333)."""

LOCAL_ADDRESS = "dockerexec_ws.local_address"
"""Its key for the address at which the connection arrived."""

PEER_CERTIFICATE = "dockerexec_ws.peer_certificate"
"""Its key for the client's certificate, as ``ssl.SSLSocket.getpeercert`` returns it: verified, empty without one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A client whose *name* is established; *narrowing* is what its credentials leave it of the policy."""

    name: str
    narrowing: Narrowing = field(default_factory=Narrowing)


Authenticator = Callable[[Environ], Identity | str | None]
"""Gets the WSGI environ of a request; returns who it comes from, or None if it does not establish that."""
