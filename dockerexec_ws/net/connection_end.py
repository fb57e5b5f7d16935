"""How a WebSocket connection ended."""

import enum
from dataclasses import dataclass


class EndingKind(enum.Enum):
    """Who, or what, ended a connection."""

    PEER_CLOSED = "the peer closed"
    PEER_VANISHED = "the peer vanished"
    PING_TIMEOUT = "the peer did not answer pings"
    WE_CLOSED = "we closed"
    PROTOCOL_ERROR = "the peer broke the protocol"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended; *code* and *reason* are those of the close frame that decided it, if there was one."""

    kind: EndingKind
    code: int | None = None
    reason: str = ""

    def __str__(self) -> str:
        code = "" if self.code is None else f" ({self.code}{' ' + self.reason if self.reason else ''})"
        return self.kind.value + code
