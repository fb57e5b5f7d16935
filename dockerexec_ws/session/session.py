"""A session: one client, one exec, and what flows between them until one of them ends.

The greenlet that calls ``run`` owns the others and waits for the first cause to end; then it ends the rest in order:

- ``_read_peer``    WebSocket -> stdin queue, and the client's other messages
- ``_write_stdin``  stdin queue -> exec; only while there is something in the queue
- ``_read_engine``  exec -> WebSocket, as long as the peer takes all; else -> output buffer. Then the exit code
- ``_write_peer``   output buffer -> WebSocket; only while there is something in the buffer. Then message 200
- ``_resize``       only while there is a size to set
- ``_watch_limits`` only if the session's time is limited
"""

import enum
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import gevent
from gevent.event import AsyncResult, Event
from gevent.pool import Group

from dockerexec_ws.access.admission import Client
from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.access.targets import Target
from dockerexec_ws.engine.client import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.killer import Killer
from dockerexec_ws.engine.output import read_output
from dockerexec_ws.errors import (
    ConnectionClosedError,
    DockerExecError,
    EngineError,
    EngineUnavailableError,
    LimitExceededError,
)
from dockerexec_ws.net.buffers import READ_SIZE
from dockerexec_ws.net.websocket import WebSocket
from dockerexec_ws.protocol.flow import FlowControl
from dockerexec_ws.protocol.framing import FramingError
from dockerexec_ws.protocol.messages import (
    Code,
    End,
    Malformed,
    Pause,
    Resize,
    Resume,
    Stdin,
    Unknown,
    error_message,
    make_message,
    parse_client_message,
    stopped_message,
)
from dockerexec_ws.session.limits import Limits
from dockerexec_ws.session.output import OutputBuffer
from dockerexec_ws.session.stdin import StdinBuffer
from dockerexec_ws.settings.settings import Settings

logger = logging.getLogger(__name__)

TTY_OUTPUT_LIMIT = 256 * 1024
"""The most that it holds with a tty: what is held delays what the user sees after Ctrl-C."""

STDIN_LIMIT = 8 * 1024 * 1024
"""Bytes of stdin waiting for the process above which a client, which was sent 101 long before, is not read from."""

_MORE_THAN_PINGS = 512  # bytes between two looks

_CODE_BYTES = {code: bytes([code]) for code in (Code.STDOUT, Code.STDERR)}

SIZE_PATIENCE = 1.0
"""Seconds that a session may be held up at its start by an engine that has yet to set the terminal's size."""

PATIENCE = 1.0
"""Seconds that a peer has to take the last message and the close frame when it is not to be waited for."""


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


class Session:
    """One session of *client* on an open *websocket*: what it asks for by *request* runs in *target*.

    *marker* is an environment variable, ``NAME=VALUE``, by which its processes are known; *settings* are its server's.
    """

    def __init__(
        self,
        websocket: WebSocket,
        engine: Engine,
        killer: Killer,
        marker: str,
        *,
        client: Client,
        target: Target,
        request: ExecRequest,
        settings: Settings,
    ) -> None:
        self.id = secrets.token_hex(8)
        """A name for logs; not a secret and not the exec's id."""
        self.client = client
        self.target = target
        self.argv = (*settings.wrapper_command, *request.argv)
        self.tty = tty = request.tty
        self.user = request.user
        self.exit_code: int | None = None
        """The process's exit code (0 to 255), once the engine has told it."""
        self.ignored_messages = 0
        """Messages of the client that had no meaning."""
        self.bytes_in = 0
        """Bytes of stdin that were taken from the client."""
        self._websocket = websocket
        self._engine = engine
        self._killer = killer
        self._marker = marker
        self._request = request
        self._read_only = settings.read_only
        self._on_disconnect = settings.on_disconnect
        self._limits = Limits(settings, client.narrowing.deadline)
        self._exec: Exec | None = None
        self._flow = FlowControl()
        limit = min(settings.output_limit, TTY_OUTPUT_LIMIT) if tty else settings.output_limit
        self._read_size = min(READ_SIZE, limit // 4)  # the connection holds as much, which it has sent in part
        self._output = OutputBuffer(self._flow, limit - self._read_size)
        if tty:
            websocket.hold_little()  # as the limit: what waits delays what the user sees after Ctrl-C
        self._stdin = StdinBuffer()
        self._stdin_ended = False  # by the client's message 102
        self._stdin_broken = False  # nobody takes any more
        self._stdin_taken = Event()
        self._stdin_writer: gevent.Greenlet[..., None] | None = None
        self._size: tuple[int, int] | None = None  # rows and columns still to be set
        self._resizer: gevent.Greenlet[..., None] | None = None
        self._writer: gevent.Greenlet[..., None] | None = None
        self._greenlets = Group()
        self._ended: AsyncResult[SessionEnd] = AsyncResult()

    @property
    def bytes_out(self) -> int:
        """Bytes of output that were handed on to the client, or held for it."""
        return self._limits.output

    def run(self) -> SessionEnd:
        """Run the session; return when the peer is told, the connection closed and no process left."""
        try:
            self._guard(self._start)
            end = self._wait_for_end()
        except gevent.GreenletExit:  # the server that called us is going away
            self.shutdown()
            end = SessionEnd(Cause.SHUTDOWN, 1001)
        try:
            self._finish(end)
        finally:
            self._websocket.abort()
            self._greenlets.kill(block=False)
        return end

    def shutdown(self) -> None:
        """End the session because the server is going away: message 201, close code 1001. Returns at once."""
        self._websocket.send_soon(make_message(Code.SHUTDOWN))
        self._output.abort()
        self._end(SessionEnd(Cause.SHUTDOWN, 1001))

    # The beginning and the end

    def _start(self) -> None:
        try:
            self._exec = Exec(
                self._engine,
                self.target.reference,
                self.argv,
                tty=self.tty,
                marker=self._marker,
                user=self.user,
                workdir=self._request.workdir,
                environment=self._request.environment,
                privileged=self._request.privileged,
                size=self._request.size,
            )
            self._exec.start()
        except DockerExecError as error:
            self._fail(str(error), error.close_code)
        sizes_later = self.tty and self._request.size is not None and not self._engine.sizes_at_create
        if sizes_later and not self._ended.ready():
            self._size = self._request.size
            self._wake_resizer().join(SIZE_PATIENCE)  # so that a program that has read something knows its size
        if self._ended.ready():  # also meanwhile: nothing follows a 201
            return
        self._websocket.send_soon(make_message(Code.RESUME))
        self._spawn(self._read_peer)
        self._spawn(self._read_engine, self._exec)
        if self._limits.timed:
            self._spawn(self._watch_limits)

    def _finish(self, end: SessionEnd) -> None:
        killing = None
        if self._exec is not None and not self._leaves_processes(end):
            killing = gevent.spawn(self._killer.end, self.target.reference, self._marker, self._exec)
        try:
            if end.text:
                self._websocket.send_soon(error_message(end.text))
            if end.cause not in (Cause.EXITED, Cause.FAILED):
                self._output.abort()
                self._websocket.close(end.close_code, patience=PATIENCE)
        finally:
            # The stream stays open until the killer has reported, but no longer: see Killer.end, and read_output.
            try:
                if killing is not None:
                    killing.join()
            finally:
                if self._exec is not None:
                    self._exec.close()
        # What there is for the peer still arrives, however slowly it reads.
        if self._writer is not None:
            self._writer.join()
        self._websocket.close(end.close_code)

    def _leaves_processes(self, end: SessionEnd) -> bool:
        if end.cause is Cause.EXITED:  # what it left in the background it left on purpose
            return True
        return self._on_disconnect == "leave" and end.cause in (Cause.PEER_GONE, Cause.SHUTDOWN)

    def _watch_limits(self) -> None:
        delivered = 0
        while (limit := self._limits.left())[0] > 0:
            gevent.sleep(min(limit[0], self._limits.interval))
            before, delivered = delivered, self._websocket.delivered
            if delivered - before > _MORE_THAN_PINGS:  # a slow peer takes what was read from the engine long ago
                self._limits.active()
        if self._ended.ready():  # all that is left to be done is waiting for the peer
            self._output.abort()
            self._websocket.abort()
        self._end(SessionEnd(Cause.TIME_LIMIT, LimitExceededError.close_code, limit[1]))

    def _wait_for_end(self) -> SessionEnd:
        end = self._ended.get()
        assert end is not None  # nosec B101  # for the type checker
        return end

    def _end(self, end: SessionEnd) -> None:
        if not self._ended.ready():  # the first one is the cause
            self._ended.set(end)

    def _fail(self, text: str, close_code: int = 1011) -> None:
        self._end(SessionEnd(Cause.FAILED, close_code, text))

    def _spawn(self, function: Callable[..., None], *arguments: object) -> "gevent.Greenlet[..., None]":
        return self._greenlets.spawn(self._guard, function, *arguments)

    def _guard(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:
            # Whatever it is, the session must not hang on a greenlet that is no more.
            logger.exception("session %s: %s failed", self.id, function.__name__)
            self._fail("internal error")

    # From the peer

    def _read_peer(self) -> None:
        while (message := self._websocket.receive()) is not None:
            self._limits.active()
            self._take_message(message.encode() if isinstance(message, str) else message)
            if self._stdin and not self._websocket.message_waits:  # all that came together goes on together
                self._pass_stdin_on()
        self._output.abort()
        logger.debug("session %s: %s", self.id, self._websocket.ending)
        self._end(SessionEnd(Cause.PEER_GONE))

    def _take_message(self, message: bytes) -> None:
        match parse_client_message(message):
            case Stdin(data):
                self._take_stdin(data)
            case End():
                if self._stdin_ended:
                    self._complain("stdin is closed")
                else:
                    self._stdin_ended = True
                    self._wake_stdin_writer()
            case Resize(rows, columns):
                if self.tty:
                    self._size = rows, columns
                    self._wake_resizer()
                else:
                    self._complain("cannot resize, not a tty instance")
            case Resume():
                self._flow.peer_resumed()
                self._output.flow_changed()
            case Pause():
                self._flow.peer_paused()
            case Malformed(text):
                self._complain(text)
            case Unknown(code):
                self.ignored_messages += 1
                logger.debug("session %s: ignored a message with code %s", self.id, code)

    def _complain(self, text: str) -> None:
        self._websocket.send_soon(error_message(text))

    def _take_stdin(self, data: memoryview) -> None:
        if self._read_only:
            self._complain("stdin: not allowed, this session is read-only")
            return
        if self._stdin_ended:
            self._complain("stdin is closed")
        if self._stdin_ended or self._ended.ready() or not data:
            return
        self.bytes_in += len(data)
        if self._flow.stdin_received(len(data)):
            self._websocket.send_soon(make_message(Code.PAUSE))
            self._output.flow_changed()
        self._stdin.put(data)
        if self._flow.stdin_pending > STDIN_LIMIT:
            self._pass_stdin_on()
        while self._flow.stdin_pending > STDIN_LIMIT and not self._ended.ready() and not self._websocket.ending:
            self._stdin_taken.clear()
            self._stdin_taken.wait(1.0)
            self._websocket.watch()

    def _pass_stdin_on(self) -> None:
        """Give the process what it takes at once, and leave the rest to the writer."""
        if self._stdin_writer is None:
            assert self._exec is not None  # nosec B101  # for the type checker: the peer is read from after the start
            self._write_some_stdin(self._exec, wait=False)
            if self._stdin:
                self._wake_stdin_writer()

    def _wake_stdin_writer(self) -> None:
        if self._stdin_writer is None:
            self._stdin_writer = self._spawn(self._write_stdin, self._exec)

    def _write_stdin(self, process: Exec) -> None:
        while self._stdin:
            self._write_some_stdin(process, wait=True)
        if self._stdin_ended and not self._stdin_broken:
            try:
                process.end_stdin()
            except EngineUnavailableError:
                self._stdin_broken = True
        self._stdin_writer = None

    def _write_some_stdin(self, process: Exec, *, wait: bool) -> None:
        parts = self._stdin.first()
        size = sum(map(len, parts))
        if not self._stdin_broken:
            try:
                size = process.write(parts, wait=wait)
            except EngineUnavailableError:
                # The process, or the engine, is gone: _read_engine finds out which, and there may be output to come.
                self._stdin_broken = True
        if self._flow.stdin_taken(size) and not self._ended.ready():
            self._websocket.send_soon(make_message(Code.RESUME))
            self._output.flow_changed()
        self._stdin.taken(size)
        self._stdin_taken.set()

    def _wake_resizer(self) -> "gevent.Greenlet[..., None]":
        if self._resizer is None:
            self._resizer = self._spawn(self._resize, self._exec)
        return self._resizer

    def _resize(self, process: Exec) -> None:
        while self._size is not None:
            (rows, columns), self._size = self._size, None
            try:
                process.resize(rows, columns)
            except EngineError as error:
                self._complain(f"cannot resize: {error}")
        self._resizer = None

    # From the engine

    def _read_engine(self, process: Exec) -> None:
        try:
            self._read_output(process)
            self.exit_code = process.exit_code()
            # At once, not when the peer has taken its output: unread bytes hold up every other exec of the container.
            process.close()
        except DockerExecError as error:
            self._fail(str(error), error.close_code)
        except FramingError as error:
            self._fail(str(error))
        else:
            self._wake_writer()

    def _read_output(self, process: Exec) -> None:
        for code, parts in read_output(process, self._output, self._read_size):
            self._limits.active()
            kept = self._limits.cut(parts)
            self._send_output(code, kept)
            if kept is not parts:
                raise self._limits.output_exceeded()

    def _send_output(self, code: Code, parts: Sequence[memoryview]) -> None:
        """Hand output on to the peer, if that needs no waiting, or else to the buffer."""
        may_send = self._writer is None and not self._flow.output_held and not self._output.aborted
        if may_send and self._websocket.send_at_once([_CODE_BYTES[code], *parts]):
            return
        self._output.put(code, parts)
        self._wake_writer()

    # To the peer

    def _wake_writer(self) -> None:
        if self._writer is None and not self._output.aborted:
            self._writer = self._spawn(self._write_peer)

    def _write_peer(self) -> None:
        try:
            while (taken := self._output.take()) is not None:
                code, pieces = taken
                self._websocket.send(make_message(code, *pieces))
            if self.exit_code is not None and not self._output.aborted and not self._ended.ready():
                self._websocket.send(stopped_message(self.exit_code))
                self._end(SessionEnd(Cause.EXITED))
        except ConnectionClosedError:
            pass  # _read_peer finds out how
        self._writer = None
