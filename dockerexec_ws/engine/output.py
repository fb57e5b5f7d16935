"""An exec's output, read to its true end: where the engine would drop some of it, it is read in time.

The engine drops what nobody has read 2 s after the process's exit, and an ended exec with unread output holds up the
exit codes of all others of its container (moby issue 53614). It says nothing of either, so it is asked.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.errors import EngineError, EngineUnavailableError
from dockerexec_ws.protocol.events import Stream
from dockerexec_ws.protocol.framing import StreamDemultiplexer

STALL_POLL = 0.5
"""Seconds between questions whether a process whose output is stalled has ended."""

DROPPED_AFTER = 2.0
"""Seconds after a process's exit at which the engine drops what nobody has read."""

AFTER_EXIT = 16 * 1024 * 1024
"""Bytes of output taken without regard to the room once the process has ended: more is a background child's.

On a unix socket it is 1.4 MB at most; with TCP in between, also by a tunnel, the kernels on both sides hold some more.
"""


class Room(Protocol):
    """Where the output goes."""

    @property
    def room(self) -> int:
        """How many bytes there is room for."""

    def wait_for_room(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds until there is room; return whether there is."""


def read_output(process: Exec, room: Room, size: int) -> Iterator[tuple[Stream, Sequence[memoryview]]]:
    """Yield the output of *process*, as stream and parts, until it ends or only a background child can be writing.

    The parts are valid until the next are asked for, and must have gone into *room* by then. *size* is how many bytes
    are read at a time, at most.

    Raises FramingError; EngineUnavailableError when the engine breaks off, or when output may be lost since it did not
    tell in time that the process had ended.
    """
    demultiplexer = None if process.tty else StreamDemultiplexer()
    first = True
    stall = _Stall(process, room)
    allowance: int | None = None  # bytes still to be taken, once the process has ended
    while allowance is None or allowance > 0:
        data = process.read(size if allowance else min(room.room, size))
        if not data:
            if demultiplexer is not None and demultiplexer.in_frame:
                raise EngineUnavailableError("the engine broke off its stream")
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
    """Asks after the process while there is no room for its output."""

    def __init__(self, process: Exec, room: Room) -> None:
        self._process = process
        self._room = room
        self._asked = 0.0
        self._ran = 0.0  # when it was last known to run, or its output not to be stalled

    def ended_meanwhile(self) -> bool:
        """Wait until there is room again (False) or the process has ended (True). Raises EngineUnavailableError."""
        while not self._room.room:
            # By the clock: a reader that is slow but steady makes a little room all the time.
            wait = self._asked + STALL_POLL - time.monotonic()
            if wait > 0:
                self._room.wait_for_room(wait)
            elif self._ended():
                return True
        return False

    def _ended(self) -> bool:
        begin = time.monotonic()
        if begin - self._asked > 2 * STALL_POLL:  # it would have been asked, had it not been read without a stop
            self._ran = begin
        try:
            ended = self._process.state().ended
        except EngineError:  # it is asked again
            self._asked = time.monotonic()
            return False
        self._asked = time.monotonic()
        if not ended:
            self._ran = begin
        elif self._asked - self._ran > DROPPED_AFTER:
            raise EngineUnavailableError("output may be lost: the engine told too late that the process had ended")
        return ended


def _is_runtime_text(process: Exec, first_output: memoryview) -> bool:
    """Tell whether the exec's *first_output* is the runtime's own text on why the command cannot be run.

    The engine writes that to stdout, with CR LF at its end, when it knows already that there is no process.
    """
    with contextlib.suppress(EngineError):  # it does not know, or not now: then there is, or was, a process
        return bytes(first_output[-2:]) == b"\r\n" and process.state().never_started
    return False
