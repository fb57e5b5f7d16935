"""Passes output on from the engine to the client."""

from collections.abc import Callable, Sequence

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.output_reader import read_output
from dockerexec_ws.errors import ConnectionClosedError
from dockerexec_ws.net.buffers import READ_SIZE
from dockerexec_ws.protocol.events import Stopped, Stream
from dockerexec_ws.protocol.flow import FlowControl
from dockerexec_ws.protocol.versions import Codec
from dockerexec_ws.session.channel import Channel
from dockerexec_ws.session.limits import Limits
from dockerexec_ws.session.on_demand_greenlet import OnDemand, Spawn
from dockerexec_ws.session.output_buffer import OutputBuffer


class OutputPump:
    """Reads the output of a process and sends it to the client, directly or through ``buffer``.

    *limit* is how many bytes to hold at most. *over* tells whether the session has ended. *delivered* is called when
    the client has been sent all output and the exit code.
    """

    def __init__(
        self,
        channel: Channel,
        codec: Codec,
        flow: FlowControl,
        limits: Limits,
        spawn: Spawn,
        *,
        limit: int,
        over: Callable[[], bool],
        delivered: Callable[[], None],
    ) -> None:
        self.exit_code: int | None = None
        """The process's exit code (0 to 255) when the engine has told it, else None."""
        self._channel = channel
        self._codec = codec
        self._flow = flow
        self._limits = limits
        self._over = over
        self._delivered = delivered
        self._read_size = min(READ_SIZE, limit // 4)  # the channel holds as much again: a message sent in part
        self.buffer = OutputBuffer(flow, limit - self._read_size)
        """Output that waits for the client."""
        self._writer = OnDemand(spawn, self._write)

    def read(self, process: Exec) -> None:
        """Read all output of *process*, then its exit code. Raises DockerExecError, FramingError."""
        for stream, parts in read_output(process, self.buffer, self._read_size):
            self._limits.active()
            kept = self._limits.cut(parts)
            self.send(stream, kept)
            if kept is not parts:
                raise self._limits.output_exceeded()
        self.exit_code = process.exit_code()
        # At once, not when the client has taken its output: unread bytes delay every other exec of the container.
        process.close()
        self._wake_writer()

    def send(self, stream: Stream, parts: Sequence[memoryview]) -> None:
        """Send output at once if nothing waits before it, else put it into the buffer."""
        may_send = self._writer.idle and not self._flow.output_held and not self.buffer.aborted
        if may_send and self._channel.send_at_once(self._codec.encode_output(stream, parts)):
            return
        self.buffer.put(stream, parts)
        self._wake_writer()

    def join(self) -> None:
        """Wait until the client has been sent all output."""
        self._writer.join()

    def _wake_writer(self) -> None:
        if not self.buffer.aborted:
            self._writer.wake()

    def _write(self) -> None:
        try:
            while (taken := self.buffer.take()) is not None:
                self._channel.send(b"".join(self._codec.encode_output(*taken)))
            if self.exit_code is not None and not self.buffer.aborted and not self._over():
                self._channel.send(self._codec.encode(Stopped(self.exit_code)))
                self._delivered()
        except ConnectionClosedError:
            pass  # the greenlet that reads the client's messages ends the session
