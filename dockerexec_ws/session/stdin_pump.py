"""Passes stdin on from the client's messages to the process."""

from collections.abc import Callable

from gevent.event import Event

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.errors import EngineUnavailableError
from dockerexec_ws.protocol.events import Error, Pause, Resume
from dockerexec_ws.protocol.flow import FlowControl
from dockerexec_ws.protocol.versions import Codec
from dockerexec_ws.session.channel import Channel
from dockerexec_ws.session.on_demand_greenlet import OnDemand, Spawn
from dockerexec_ws.session.output_buffer import OutputBuffer
from dockerexec_ws.session.stdin_buffer import StdinBuffer

STDIN_LIMIT = 8 * 1024 * 1024
"""Bytes of stdin that may wait for the process. Above that, nothing is read from the client, which ignores its 101."""


class StdinPump:
    """Passes stdin on to the process, directly if the process takes it, else through a buffer.

    *over* tells whether the session has ended. *output* is told when the flow control changes.
    """

    def __init__(
        self,
        channel: Channel,
        codec: Codec,
        flow: FlowControl,
        output: OutputBuffer,
        spawn: Spawn,
        *,
        read_only: bool,
        over: Callable[[], bool],
    ) -> None:
        self.bytes_in = 0
        """Bytes of stdin from the client."""
        self._channel = channel
        self._codec = codec
        self._flow = flow
        self._output = output
        self._read_only = read_only
        self._over = over
        self._process: Exec | None = None
        self._buffer = StdinBuffer()
        self._ended = False  # by message 102
        self._refused = False  # the client has been told that its stdin is ignored
        self._broken = False  # the process takes no more stdin
        self._taken = Event()
        self._writer = OnDemand(spawn, self._write)

    def start(self, process: Exec) -> None:
        """Write to *process*. Call it before all others."""
        self._process = process

    def take(self, data: memoryview) -> None:
        """Take the stdin of one message. Blocks while too much stdin waits for the process."""
        if self._read_only or self._ended:
            # Once, because the message may be a piece of a larger one.
            if not self._refused:
                self._refused = True
                self._complain("stdin is closed" if self._ended else "stdin: not allowed, this session is read-only")
            return
        if self._over() or not data:
            return
        self.bytes_in += len(data)
        if self._flow.stdin_received(len(data)):
            self._channel.send_soon(self._codec.encode(Pause()))
            self._output.flow_changed()
        self._buffer.put(data)
        if self._flow.stdin_pending > STDIN_LIMIT:
            self.pass_on()
        while self._flow.stdin_pending > STDIN_LIMIT and not self._over() and not self._channel.ending:
            self._taken.clear()
            self._taken.wait(1.0)

    def end(self) -> None:
        """End the process's stdin after all that was taken."""
        if self._ended:
            self._complain("stdin is closed")
        else:
            self._ended = True
            self._writer.wake()

    def pass_on(self) -> None:
        """Give the process what it takes without waiting, and leave the rest to the writer."""
        if self._buffer and self._writer.idle:
            self._write_some(wait=False)
            if self._buffer:
                self._writer.wake()

    def _complain(self, text: str) -> None:
        self._channel.send_soon(self._codec.encode(Error(text)))

    def _write(self) -> None:
        while self._buffer:
            self._write_some(wait=True)
        if self._ended and not self._broken:
            assert self._process is not None  # nosec B101  # for the type checker
            try:
                self._process.end_stdin()
            except EngineUnavailableError:
                self._broken = True

    def _write_some(self, *, wait: bool) -> None:
        assert self._process is not None  # nosec B101  # for the type checker: the client is read after the start
        parts = self._buffer.first()
        size = sum(map(len, parts))
        if not self._broken:
            try:
                size = self._process.write(parts, wait=wait)
            except EngineUnavailableError:
                # The process or the engine is gone; output may still come. The greenlet that reads it finds out which.
                self._broken = True
        if self._flow.stdin_taken(size) and not self._over():
            self._channel.send_soon(self._codec.encode(Resume()))
            self._output.flow_changed()
        self._buffer.taken(size)
        self._taken.set()
