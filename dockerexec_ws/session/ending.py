"""How a session ended, in one word and in detail."""

import enum
from dataclasses import dataclass


class Cause(enum.Enum):
    """Why a session ended."""

    EXITED = "the process exited"
    PEER_GONE = "the peer is gone"
    SHUTDOWN = "the server is going away"
    TIME_LIMIT = "its time is over"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended; *text* is for the peer, *close_code* from RFC 6455 section 7.4."""

    cause: Cause
    close_code: int = 1000
    text: str = ""
