"""How a session ends: the causes, and what each of them implies."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from websockets.frames import CloseCode

from dockerexec_ws.protocol.events import Error, Shutdown, Stopped

PATIENCE = 1.0
"""Seconds a client has to take the last message and the close frame, if its session ended before its process."""


class Cause(enum.Enum):
    """Why a session ended. The value is the audit log's text for an ending that has no text of its own."""

    EXITED = "the process exited"
    PEER_GONE = "the client is gone"
    SHUTDOWN = "the server is going away"
    TIME_LIMIT = "a time limit was reached"
    FAILED = "the session failed"


class Processes(enum.Enum):
    """What the server does with the processes of a session that has ended."""

    LEFT = "left"
    ENDED = "ended"
    ENDED_UNLESS_LEAVE = "ended, unless the option --on-disconnect is leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """What a cause implies."""

    message: type[Stopped | Shutdown | Error] | None
    """The message that tells the client; None if it is gone."""

    close_code: CloseCode | None
    """The close code (RFC 6455 section 7.4), unless the error has its own; None if the client chose one or is gone."""

    delivers_output: bool
    """Whether the client is still sent the output that was read. Otherwise it is dropped."""

    patience: float | None
    """Seconds that the client has to take what it is sent and close; None for as long as it goes on reading."""

    processes: Processes

    def leaves_processes(self, on_disconnect: str) -> bool:
        """Return whether the processes are left alone, with the option --on-disconnect being *on_disconnect*."""
        match self.processes:
            case Processes.LEFT:
                return True
            case Processes.ENDED:
                return False
            case Processes.ENDED_UNLESS_LEAVE:
                return on_disconnect == "leave"


CONSEQUENCES: Mapping[Cause, Consequences] = {
    Cause.EXITED: Consequences(
        message=Stopped,
        close_code=CloseCode.NORMAL_CLOSURE,
        delivers_output=True,
        patience=None,
        processes=Processes.LEFT,  # like docker exec: the process left its background children on purpose
    ),
    Cause.PEER_GONE: Consequences(
        message=None,
        close_code=None,
        delivers_output=False,
        patience=PATIENCE,
        processes=Processes.ENDED_UNLESS_LEAVE,
    ),
    Cause.SHUTDOWN: Consequences(
        message=Shutdown,
        close_code=CloseCode.GOING_AWAY,
        delivers_output=False,
        patience=PATIENCE,
        processes=Processes.ENDED_UNLESS_LEAVE,
    ),
    Cause.TIME_LIMIT: Consequences(
        message=Error,
        close_code=CloseCode.POLICY_VIOLATION,
        delivers_output=False,
        patience=PATIENCE,
        processes=Processes.ENDED,
    ),
    Cause.FAILED: Consequences(
        message=Error,
        close_code=CloseCode.INTERNAL_ERROR,
        delivers_output=True,
        patience=None,
        processes=Processes.ENDED,
    ),
}
"""The same as the manual's table of endings, in docs/protocol.rst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """How one session ended."""

    cause: Cause

    own_close_code: int | None = None
    """The close code of the error that ended the session, if it has its own."""

    text: str = ""
    """What a message 202 tells the client."""

    exit_code: int | None = None
    """The process's exit code (0 to 255) if it exited by itself. After any other end it would be our own signal's."""

    processes_left: bool | None = None
    """Whether processes may be left because the server could not end them; None if it left them alone on purpose."""

    @property
    def implies(self) -> Consequences:
        """What the cause implies."""
        return CONSEQUENCES[self.cause]

    @property
    def close_code(self) -> int:
        """The close code for the client. It never gets there if the client has closed before, or is gone."""
        return self.own_close_code or self.implies.close_code or CloseCode.NORMAL_CLOSURE

    @property
    def description(self) -> str:
        """The ending in words, for logs."""
        return self.text or self.cause.value
