"""A session: one client, one exec, and the bytes between them.

The greenlet that calls ``run`` owns the others. It waits for the first cause of an end, then ends the rest in order.

- ``_read_peer`` reads the client's messages. It passes stdin to ``StdinPump`` and sizes to ``Resizer``.
- ``_read_engine`` makes ``OutputPump`` read the process's output, and then the exit code.
- ``_watch_limits`` runs only if the session's time is limited.

The pumps and the resizer have a greenlet of their own while something waits.
"""

import dataclasses
import logging
import secrets
from collections.abc import Callable

import gevent
from gevent.event import Event
from gevent.pool import Group

from dockerexec_ws.access.admission import Client
from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.access.targets import Target
from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.run import Run
from dockerexec_ws.errors import DockerExecError
from dockerexec_ws.protocol.engine_framing import FramingError
from dockerexec_ws.protocol.events import End, Error, Malformed, Pause, Resize, Resume, Sent, Shutdown, Stdin, Unknown
from dockerexec_ws.protocol.flow import FlowControl
from dockerexec_ws.protocol.versions import codec_of
from dockerexec_ws.session.channel import Channel
from dockerexec_ws.session.ending import Cause, SessionEnd
from dockerexec_ws.session.environment import session_environment
from dockerexec_ws.session.limits import Limits
from dockerexec_ws.session.output_pump import OutputPump
from dockerexec_ws.session.resizer import Resizer
from dockerexec_ws.session.stdin_pump import StdinPump
from dockerexec_ws.settings.settings import Settings

logger = logging.getLogger(__name__)

TTY_OUTPUT_LIMIT = 256 * 1024
"""Bytes of output to hold at most with a tty. Held output delays what the user sees after Ctrl-C."""

_MORE_THAN_PINGS = 512  # bytes that were delivered between two checks

SIZE_PATIENCE = 1.0
"""Seconds to wait at the start for the engine to set the terminal's size."""


class Session:
    """One session of *client* on an open *channel*: the command of *request* runs in *target*.

    *new_run* makes the ``Run``. *marker* is an environment variable, ``NAME=VALUE``, that identifies its processes.
    """

    def __init__(
        self,
        channel: Channel,
        engine: Engine,
        new_run: Callable[..., Run],
        marker: str,
        *,
        client: Client,
        target: Target,
        request: ExecRequest,
        settings: Settings,
    ) -> None:
        self.id = secrets.token_hex(8)
        """A name for logs. It is no secret, and not the exec's id."""
        self.client = client
        self.target = target
        self.argv = (*settings.wrapper_command, *request.argv)
        self.tty = tty = request.tty
        self.user = request.user
        self.ignored_messages = 0
        """Number of the client's messages that were ignored because their code is unknown."""
        self.end: SessionEnd | None = None
        """How the session ends. None until something ends it."""
        self._channel = channel
        self._codec = codec_of(channel.subprotocol)
        self._engine = engine
        self._new_run = new_run
        self._marker = marker
        self._request = request
        self._environment = session_environment(settings, request, target.environment)
        self._on_disconnect = settings.on_disconnect
        self._limits = Limits(settings, client.narrowing.deadline)
        self._run: Run | None = None
        self._flow = FlowControl()
        self._greenlets = Group()
        self._ended = Event()  # set with `end`
        self._output = OutputPump(
            channel,
            self._codec,
            self._flow,
            self._limits,
            self._spawn,
            limit=min(settings.output_limit, TTY_OUTPUT_LIMIT) if tty else settings.output_limit,
            over=self._ended.is_set,
            delivered=lambda: self._end(SessionEnd(cause=Cause.EXITED, exit_code=self._output.exit_code)),
        )
        self._stdin = StdinPump(
            channel,
            self._codec,
            self._flow,
            self._output.buffer,
            self._spawn,
            read_only=settings.read_only,
            over=self._ended.is_set,
        )
        self._resizer = Resizer(channel, self._codec, self._spawn)
        if tty:
            channel.hold_little()  # for the reason of TTY_OUTPUT_LIMIT

    @property
    def exit_code(self) -> int | None:
        """The process's exit code (0 to 255) when the engine has told it, else None."""
        return self._output.exit_code

    @property
    def stdin_waiting(self) -> int:
        """Bytes of stdin that wait for the process."""
        return self._flow.stdin_pending

    @property
    def output_waiting(self) -> int:
        """Bytes of output that wait for the client, with what it takes to hold them."""
        return self._output.buffer.size

    @property
    def bytes_in(self) -> int:
        """Bytes of stdin from the client."""
        return self._stdin.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes of output that were sent to the client or wait for it."""
        return self._limits.output

    def run(self) -> SessionEnd:
        """Run the session to its end: the client is told, the channel is closed, and processes are ended."""
        try:
            self._guard(self._start)
            self._ended.wait()
        except gevent.GreenletExit:  # the server is going away
            self.shutdown()
        assert self.end is not None  # nosec B101  # for the type checker
        try:
            self._finish(self.end)
        finally:
            self._channel.abort()
            self._greenlets.kill(block=False)
        return self.end

    def shutdown(self) -> None:
        """End the session because the server is going away (message 201, close code 1001), without waiting."""
        if self.end is None:  # nothing follows a message that told another end
            self._send(Shutdown())
        self._output.buffer.abort()
        self._end(SessionEnd(cause=Cause.SHUTDOWN))

    # The beginning and the end

    def _start(self) -> None:
        try:
            self._run = self._new_run(
                self.target.reference,
                self.argv,
                tty=self.tty,
                marker=self._marker,
                user=self.user,
                workdir=self._request.workdir,
                environment=self._environment,
                privileged=self._request.privileged,
                size=self._request.size,
            )
            process = self._run.exec
            process.start()
            self._stdin.start(process)
            self._resizer.start(process)
        except DockerExecError as error:
            self._fail(str(error), error.close_code)
        size = self._request.size
        if self.tty and size is not None and not self._engine.sizes_at_create and not self._ended.is_set():
            self._resizer.resize(*size)
            self._resizer.join(SIZE_PATIENCE)  # so that a program that has read something knows its size
        if self._ended.is_set():  # perhaps while the size was being set; nothing may follow a 201
            return
        self._send(Resume())
        self._spawn(self._read_peer)
        self._spawn(self._read_engine, process)
        if self._limits.timed:
            self._spawn(self._watch_limits)

    def _finish(self, end: SessionEnd) -> None:
        implied = end.implies
        terminating = None
        if self._run is None:
            self.end = dataclasses.replace(end, processes_left=False)  # there never were any
        elif end.processes_left:
            terminating = gevent.spawn(self._run.terminate)
        try:
            if implied.message is Error:
                self._send(Error(end.text))
            if not implied.delivers_output:
                self._output.buffer.abort()
                self._channel.close(end.close_code, patience=implied.patience)
        finally:
            if terminating is not None:
                terminating.join()
                self.end = dataclasses.replace(end, processes_left=not terminating.value)
            elif self._run is not None:
                self._run.close()
        # Deliver the remaining output, even to a slow client.
        self._output.join()
        self._channel.close(end.close_code, patience=implied.patience)

    def _watch_limits(self) -> None:
        delivered = 0
        while (limit := self._limits.left())[0] > 0:
            gevent.sleep(min(limit[0], self._limits.interval))
            before, delivered = delivered, self._channel.delivered
            if delivered - before > _MORE_THAN_PINGS:  # a slow client is taking output that was read long ago
                self._limits.active()
        if self._ended.is_set():  # the session only waits for the client
            self._output.buffer.abort()
            self._channel.abort()
        self._end(SessionEnd(cause=Cause.TIME_LIMIT, text=limit[1]))

    def _end(self, end: SessionEnd) -> None:
        if self.end is None:  # the first one is the cause
            # Until the killer has reported, processes may be left.
            left_alone = end.implies.leaves_processes(self._on_disconnect)
            self.end = dataclasses.replace(end, processes_left=None if left_alone else True)
            self._ended.set()

    def _fail(self, text: str, close_code: int | None = None) -> None:
        self._end(SessionEnd(cause=Cause.FAILED, own_close_code=close_code, text=text))

    def _spawn(self, function: Callable[..., None], *arguments: object) -> "gevent.Greenlet[..., None]":
        return self._greenlets.spawn(self._guard, function, *arguments)

    def _guard(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:
            # End the session on any unexpected error. Otherwise it would wait forever for the dead greenlet.
            logger.exception("session %s: %s failed", self.id, function.__name__)
            self._fail("internal error")

    # From the client

    def _read_peer(self) -> None:
        while (message := self._channel.receive()) is not None:
            self._limits.active()
            self._take_message(message.encode() if isinstance(message, str) else message)
            if not self._channel.message_waits:  # write the stdin of messages that came together at once
                self._stdin.pass_on()
        self._output.buffer.abort()
        logger.debug("session %s: %s", self.id, self._channel.ending)
        self._end(SessionEnd(cause=Cause.PEER_GONE))

    def _take_message(self, message: bytes) -> None:
        match self._codec.parse_client_message(message):
            case Stdin(data):
                self._stdin.take(data)
            case End():
                self._stdin.end()
            case Resize(rows, columns):
                if self.tty:
                    self._resizer.resize(rows, columns)
                else:
                    self._send(Error("cannot resize, not a tty instance"))
            case Resume():
                self._flow.peer_resumed()
                self._output.buffer.flow_changed()
            case Pause():
                self._flow.peer_paused()
            case Malformed(text):
                self._send(Error(text))
            case Unknown(code):
                self.ignored_messages += 1
                logger.debug("session %s: ignored a message with code %s", self.id, code)

    def _send(self, event: Sent) -> None:
        self._channel.send_soon(self._codec.encode(event))

    # From the engine

    def _read_engine(self, process: Exec) -> None:
        try:
            self._output.read(process)
        except DockerExecError as error:
            self._fail(str(error), error.close_code)
        except FramingError as error:
            self._fail(str(error))
