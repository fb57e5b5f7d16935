"""How far a session has come, according to its server. No socket and no lock: the connection has both."""

import enum
import logging

from websockets.frames import Close

from dockerexec_ws.client.failures import failure, printable
from dockerexec_ws.client.output_queue import OutputQueue
from dockerexec_ws.errors import ConnectionLost, DockerExecError
from dockerexec_ws.protocol.events import Error, FromServer, Malformed, Output, Pause, Resume, Shutdown, Stopped, Stream

logger = logging.getLogger(__name__)


class State(enum.Enum):
    """How far a session has come."""

    OPENING = "the server has not said yet that the process runs"
    RUNNING = "the process runs"
    EXITED = "the server has sent the exit code"
    FAILED = "the session ended without an exit code"
    REFUSED = "the session ended before the process ran"


_FOLLOWING = {
    State.OPENING: {State.RUNNING, State.EXITED, State.REFUSED},
    State.RUNNING: {State.EXITED, State.FAILED},
    State.EXITED: set(),  # an end is final: the first cause counts
    State.FAILED: set(),
    State.REFUSED: set(),
}


class Progress:
    """The state of one session. Callers hold the connection's lock, and wake the threads that wait for a change.

    *output_limit* is the limit of ``output``, in bytes. With *merged*, stderr counts as stdout.
    """

    def __init__(self, output_limit: int, *, merged: bool = False) -> None:
        self.state = State.OPENING
        self._merged = merged
        self.output = OutputQueue(output_limit)
        self._exit_code: int | None = None
        self._failure: DockerExecError | None = None
        self._stdin_held = False  # the server sent a Pause, and no Resume since
        self._shutdown = False  # the server said that it is going away
        self._error = ""  # the text of the server's last Error

    @property
    def exit_code(self) -> int | None:
        """The process's exit code, once the server has sent it."""
        return self._exit_code if self.state is State.EXITED else None

    @property
    def refused(self) -> bool:
        """Whether the server has said why the process will not run, and the connection is still open."""
        return self.state is State.OPENING and bool(self._error)

    @property
    def over(self) -> bool:
        """Whether the session has ended. There may be output left."""
        return not _FOLLOWING[self.state]

    @property
    def may_write(self) -> bool:
        """Whether the server takes stdin."""
        return self.state is State.RUNNING and not self._stdin_held

    def outcome(self) -> int:
        """Return the exit code of a session that is over. Raises the failure of one that ended without an exit code."""
        if self._exit_code is not None and self.state is State.EXITED:
            return self._exit_code
        assert self._failure is not None  # nosec B101  # for the type checker: it is over
        raise self._failure.with_traceback(None)  # or the traceback would grow each time

    def take(self, event: FromServer) -> Pause | None:
        """Note what the server says. Return the answer that is due, if any."""
        match event:
            case Output(stream, data):
                if self.output.put(Stream.STDOUT if self._merged else stream, data):
                    return Pause()
            case Resume():
                self._stdin_held = False
                self._move(State.RUNNING)
            case Pause():
                self._stdin_held = True
            case Stopped(exit_code):
                if not self.over:
                    self._exit_code = exit_code
                    self._move(State.EXITED)
            case Shutdown():
                self._shutdown = True
            case Error(text):
                before, self._error = self._error, printable(text)
                # Do not repeat a text: a server may send it for each key. A refusal is raised instead.
                if self.state not in (State.OPENING, State.REFUSED) and self._error != before:
                    logger.warning("the server says: %s", self._error)
            case Malformed(text):
                self.fail(ConnectionLost(f"the server broke the protocol: {printable(text)}"))
        return None

    def fail(self, cause: DockerExecError) -> None:
        """End the session without an exit code, unless it has ended already."""
        if not self.over:
            # Set the cause first. A finalizer may interrupt here, and a session that is over must have a cause.
            self._failure = cause
            self._move(State.REFUSED if self.state is State.OPENING else State.FAILED)

    def disconnected(self, close: Close | None, broken: BaseException | None) -> None:
        """End the session because the connection is over.

        *close* is the server's close frame, and *broken* how it violated the WebSocket protocol, if it did.
        """
        self.fail(
            failure(
                shutdown=self._shutdown,
                close=close,
                complaint=self._error,
                ready=self.state is State.RUNNING,
                broken=broken,
            )
        )

    def _move(self, to: State) -> None:
        """Go on to *to* if it may follow. This is the only place that changes the state."""
        if to in _FOLLOWING[self.state]:
            self.state = to
