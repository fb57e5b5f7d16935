"""One exec: a command in a container, its streams, its size, its end."""

import time
from collections.abc import Sequence
from typing import Any

from dockerexec_ws.engine.client import Engine, ExecState
from dockerexec_ws.engine.stream import Bytes, HijackedStream
from dockerexec_ws.errors import EngineError, EngineTimeoutError, EngineUnavailableError
from dockerexec_ws.net.buffers import READ_SIZE

RESIZE_TIMEOUT = 5.0
"""Seconds within which a resize is tried again: the exec may not have started yet."""

_FIRST_DELAY = 0.001
_LONGEST_DELAY = 0.25


class Exec:
    """A command in *container*: created by the constructor, run by ``start``, which comes before all else.

    *marker* is an environment variable, ``NAME=VALUE``, by which its processes are known in the container; *options*
    are those of ``Engine.create_exec``.

    Raises ContainerNotFoundError, EngineUnavailableError, EngineError (a container that is not running, say).
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
        # The marker last: of two values of a variable that is the one that counts.
        self._id = engine.create_exec(
            container, argv, stdin=True, tty=tty, environment=[*environment, marker], **options
        )
        self.start_unanswered = False
        """Whether the engine was told to run the command and has not said a word: it may run it any time."""
        self._stream: HijackedStream | None = None
        self._last_byte = b"\n"

    def start(self) -> None:
        """Run the command. Raises as the constructor; even so the command may run (if the engine's answer got lost)."""
        self.start_unanswered = True
        try:
            self._stream = self._engine.start_exec(self._id, tty=self.tty)
        except EngineTimeoutError:
            raise
        except EngineError:
            self.start_unanswered = False
            raise
        self.start_unanswered = False

    def read(self, size: int = READ_SIZE) -> memoryview:
        """Wait for output and return at most *size* bytes of it, framed unless there is a tty; none at its end.

        They are valid until the next read. Raises EngineUnavailableError.
        """
        return self._started.read(size)

    def write(self, parts: Sequence[Bytes], *, wait: bool = True) -> int:
        """Give the process some of *parts* as stdin, and return how many bytes the engine took.

        Without *wait* only what it takes at once. Raises EngineUnavailableError.
        """
        size = end = self._started.write(parts, wait=wait)
        for part in parts:
            if 0 < end <= len(part):
                self._last_byte = bytes(part[end - 1 : end])
            end -= len(part)
        return size

    def end_stdin(self) -> None:
        """End the process's stdin. With a tty that is typing Ctrl-D: on a half-close the engine would cut the output.

        In the middle of a line the terminal's EOF character only hands the line over, so a second one is typed.
        """
        if self.tty:
            data = b"\x04" if self._last_byte == b"\n" else b"\x04\x04"
            while data:
                data = data[self._started.write([data]) :]
        else:
            self._started.half_close()

    def close(self) -> None:
        """Close the stream; the process goes on. Idempotent, and may come before ``start``."""
        if self._stream is not None:
            self._stream.close()

    @property
    def _started(self) -> HijackedStream:
        assert self._stream is not None, "start() comes first"  # nosec B101  # a slip of the caller's
        return self._stream

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size, trying again while the process is only about to start.

        Raises EngineUnavailableError; EngineError when the engine still refuses after 5 s.
        """
        deadline = time.monotonic() + RESIZE_TIMEOUT
        delay = _FIRST_DELAY
        while True:
            try:
                self._engine.resize_exec(self._id, rows, columns)
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
        return self._engine.exec_state(self._id)

    def exit_code(self) -> int:
        """Wait until the engine knows the exit code (0 to 255): it does not order it after the end of the output.

        Raises EngineUnavailableError, EngineError; also when the engine does not tell within its timeout.
        """
        deadline = time.monotonic() + self._engine.timeout
        delay = _FIRST_DELAY
        while True:
            state = self.state()
            if state.ended and state.exit_code is not None:
                return state.exit_code & 0xFF
            if time.monotonic() > deadline:
                raise EngineError(f"the engine did not tell the exit code within {self._engine.timeout:g} s")
            time.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)
