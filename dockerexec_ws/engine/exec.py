"""One exec: a command in a container, with its streams, its terminal's size and its exit code."""

import time
from collections.abc import Sequence
from typing import Any

from dockerexec_ws.engine.docker import Engine, ExecState
from dockerexec_ws.engine.stream import Bytes, HijackedStream
from dockerexec_ws.errors import EngineError, EngineTimeoutError, EngineUnavailableError
from dockerexec_ws.net.buffers import READ_SIZE

RESIZE_TIMEOUT = 5.0
"""Seconds within which a failed resize is tried again, because the exec may not have started yet."""

_FIRST_DELAY = 0.001
_LONGEST_DELAY = 0.25


class Exec:
    """A command in *container*. The constructor creates it. Call ``start``, which runs it, before any other method.

    *marker* is an environment variable, ``NAME=VALUE``, that identifies its processes in the container. *options* are
    those of ``Engine.create_exec``.

    Raises ContainerNotFoundError, EngineUnavailableError, EngineError (the container is not running, for example).
    """

    def __init__(
        self,
        engine: Engine,
        container: str,
        argv: Sequence[str],
        *,
        tty: bool,
        marker: str,
        environment: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self.tty = tty
        self._engine = engine
        # The marker comes last, because the last value of a variable counts.
        self.id = engine.create_exec(
            container, argv, stdin=True, tty=tty, environment=[*environment, marker], **options
        )
        """The engine's id of it."""
        self.start_unanswered = False
        """Whether the engine was told to run the command and has not answered. It may run the command at any time."""
        self._stream: HijackedStream | None = None
        self._last_byte = b"\n"
        self._had_output = False
        self._half_closed = False
        self.closed_by_engine = False
        """Whether the engine has closed the stream."""
        self._given_up = False  # by ``end_output``
        self._cut = False  # whether the output may have ended only because stdin did

    def start(self) -> None:
        """Run the command. Raises as the constructor does; the command may run even then, if the answer was lost."""
        self.start_unanswered = True
        try:
            self._stream = self._engine.start_exec(self.id, tty=self.tty)
        except EngineTimeoutError:
            raise
        except EngineError:
            self.start_unanswered = False
            raise
        self.start_unanswered = False

    def read(self, size: int = READ_SIZE) -> memoryview:
        """Wait for output. Returns at most *size* bytes of it, framed unless there is a tty, or none at its end.

        They are valid until the next read. Raises EngineUnavailableError.
        """
        data = self._started.read(size)
        if data:
            self._had_output = True
        else:
            self.closed_by_engine = not self._given_up
            self._cut = self._half_closed and self._started.ends_at_half_close
        return data

    @property
    def silence(self) -> float:
        """For how many seconds a greenlet has waited for output; 0 while none waits."""
        since = self._stream and self._stream.reading_since
        return time.monotonic() - since if since else 0.0

    def end_output(self) -> None:
        """Let ``read`` find the output's end after what has arrived, although the engine does not end it."""
        self._given_up = True
        self._started.end_reading()

    def write(self, parts: Sequence[Bytes], *, wait: bool = True) -> int:
        """Send some of *parts* to the process's stdin. Returns how many bytes the engine took.

        Unless *wait* is true, sends only what the engine takes at once. Raises EngineUnavailableError.
        """
        size = end = self._started.write(parts, wait=wait)
        for part in parts:
            if 0 < end <= len(part):
                self._last_byte = bytes(part[end - 1 : end])
            end -= len(part)
        return size

    def end_stdin(self) -> None:
        """End the process's stdin. With a tty, type Ctrl-D, because the engine would cut the output on a half-close.

        In the middle of a line, the terminal's EOF character only hands the line over. A second one is typed then.
        """
        if self.tty:
            data = b"\x04" if self._last_byte == b"\n" else b"\x04\x04"
            while data:
                data = data[self._started.write([data]) :]
        else:
            self._half_closed = True
            self._started.half_close()

    def close(self) -> None:
        """Close the stream. The process goes on. Idempotent; may be called before ``start``."""
        if self._stream is not None:
            self._stream.close()

    @property
    def _started(self) -> HijackedStream:
        assert self._stream is not None, "call start() first"  # nosec B101  # a fault of the caller's
        return self._stream

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size. Tries again while the process may only be about to start.

        Raises EngineUnavailableError, and EngineError if the engine still refuses after 5 s.
        """
        deadline = time.monotonic() + RESIZE_TIMEOUT
        delay = _FIRST_DELAY
        while True:
            try:
                self._engine.resize_exec(self.id, rows, columns)
            except EngineUnavailableError:
                raise
            except EngineError:
                if self.state().ended:
                    return
                if time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def state(self) -> ExecState:
        """Ask the engine for the state. Raises EngineUnavailableError, EngineError."""
        return self._engine.exec_state(self.id)

    def exit_code(self) -> int:
        """Wait for the exit code (0 to 255). The engine may know it only some time after the end of the output.

        Raises EngineUnavailableError, also if output may be lost, or if the command was not run and no output says why.
        Raises EngineError, also if the engine does not know the exit code within its timeout.
        """
        deadline = time.monotonic() + self._engine.timeout
        delay = _FIRST_DELAY
        while True:
            state = self.state()
            if state.never_started and not self._had_output:  # the engine gave up, and its exit code is made up
                raise EngineUnavailableError(
                    "the engine, or a proxy before it, broke off the stream before the command started"
                )
            if self._cut and (state.running or state.ended):
                raise EngineUnavailableError(
                    "output may be lost, because nginx, a proxy before the engine, broke off the output when stdin "
                    "ended. Use a proxy that passes on the end of stdin alone (see Operating in the manual)."
                )
            if state.ended and state.exit_code is not None:
                return state.exit_code & 0xFF
            if time.monotonic() > deadline:
                raise EngineError(f"the engine did not report the exit code within {self._engine.timeout:g} s")
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
