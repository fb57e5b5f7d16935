"""Reading an exec's output to its true end, in time before the engine drops some of it.

The engine drops output that is still unread 2 s after the process's exit. An ended exec with unread output also delays
the exit codes of all other execs in its container (moby issue 53614). The engine reports neither, so the server asks
whether the process has ended.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.errors import EngineError, EngineUnavailableError
from dockerexec_ws.protocol.engine_framing import StreamDemultiplexer
from dockerexec_ws.protocol.events import Stream

STALL_POLL = 0.5
"""Seconds between two questions whether a process whose output is stalled has ended."""

DROPPED_AFTER = 2.0
"""Seconds after a process's exit at which the engine drops unread output."""

AFTER_EXIT = 16 * 1024 * 1024
"""Bytes of output to take, regardless of the room, once the process has ended. Any more comes from a background child.

On a unix socket, an ended process leaves 1.4 MB at most. With TCP in between, even in a tunnel, the kernels on both
sides hold more.
"""


class Room(Protocol):
    """The place for output that was read."""

    @property
    def room(self) -> int:
        """How many bytes fit."""

    def wait_for_room(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for room. Returns whether there is any."""


def read_output(process: Exec, room: Room, size: int) -> Iterator[tuple[Stream, Sequence[memoryview]]]:
    """Yield the output of *process*, as stream and parts, until it ends or only a background child can be writing.

    The parts are valid until the next ones are requested, and must be in *room* by then. At most *size* bytes are read
    at a time.

    Raises FramingError, and EngineUnavailableError if the engine breaks off the stream, or if output may be lost
    because the engine did not report in time that the process had ended.
    """
    demultiplexer = None if process.tty else StreamDemultiplexer()
    first = True
    stall = _Stall(process, room)
    allowance: int | None = None  # bytes still to take, once the process has ended
    while allowance is None or allowance > 0:
        data = process.read(size if allowance else min(room.room, size))
        if not data:
            if demultiplexer is not None and demultiplexer.in_frame:
                raise EngineUnavailableError("the engine broke off the output in the middle")
            return
        for stream, parts in demultiplexer.feed(data) if demultiplexer else [(Stream.STDOUT, [data])]:
            if first and not process.tty and _is_runtime_text(process, parts[-1]):
                stream = Stream.STDERR
            first = False
            yield stream, parts
        if allowance is not None:
            allowance -= len(data)
        elif not room.room and stall.ended_meanwhile():
            allowance = AFTER_EXIT


class _Stall:
    """Asks whether the process has ended, while there is no room for its output."""

    def __init__(self, process: Exec, room: Room) -> None:
        self._process = process
        self._room = room
        self._asked = 0.0
        self._ran = 0.0  # when it was last known to run, or its output was last not stalled

    def ended_meanwhile(self) -> bool:
        """Wait until there is room again (False) or the process has ended (True). Raises EngineUnavailableError."""
        while not self._room.room:
            # Measure from the last question, because a slow but steady reader makes a little room all the time.
            wait = self._asked + STALL_POLL - time.monotonic()
            if wait > 0:
                self._room.wait_for_room(wait)
            elif self._ended():
                return True
        return False

    def _ended(self) -> bool:
        begin = time.monotonic()
        if begin - self._asked > 2 * STALL_POLL:  # the output was not stalled in between
            self._ran = begin
        try:
            ended = self._process.state().ended
        except EngineError:  # ask again later
            self._asked = time.monotonic()
            return False
        self._asked = time.monotonic()
        if not ended:
            self._ran = begin
        elif self._asked - self._ran > DROPPED_AFTER:
            raise EngineUnavailableError("output may be lost, because the engine reported the process's end too late")
        return ended


def _is_runtime_text(process: Exec, first_output: memoryview) -> bool:
    """Tell whether the exec's *first_output* is the runtime's error message about a command that cannot be run.

    The engine writes it to stdout, ending in CR LF, once it knows that there is no process.
    """
    with contextlib.suppress(EngineError):  # if the engine does not know the exec, there is or was a process
        return bytes(first_output[-2:]) == b"\r\n" and process.state().never_started
    return False
