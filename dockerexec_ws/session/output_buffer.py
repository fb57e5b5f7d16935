"""The output of a session on its way from the engine to the client, in order and in bounded memory."""

from collections import deque
from collections.abc import Sequence

from gevent.event import Event

from dockerexec_ws.protocol.events import Stream
from dockerexec_ws.protocol.flow import FlowControl

JOIN = 256 * 1024
"""Largest message, in bytes, into which adjacent pieces of one stream are joined."""

PIECE_OVERHEAD = 128
"""Bytes that a piece takes in addition to its data. They count, because a process may write byte by byte."""


class OutputBuffer:
    """Bytes of the streams. The greenlet that reads the engine puts them, the one that writes to the client takes them.

    *limit* is in bytes: the reader should read no more than there is ``room`` for. ``take`` waits while *flow* holds
    output; call ``flow_changed`` when that may have changed.
    """

    def __init__(self, flow: FlowControl, limit: int) -> None:
        self._flow = flow
        self._limit = limit
        self._pieces: deque[tuple[Stream, bytes]] = deque()
        self._size = 0
        self._taken = 0  # the part of it that was taken last
        self.aborted = False
        """Whether the remaining output has been dropped."""
        self._changed = Event()
        self._made_room = Event()

    @property
    def size(self) -> int:
        """How many bytes are held, those that ``take`` returned last included."""
        return self._size

    @property
    def room(self) -> int:
        """How many bytes may be put, in one piece."""
        return max(self._limit - self._size - PIECE_OVERHEAD, 0)

    def put(self, stream: Stream, parts: Sequence[bytes | memoryview]) -> None:
        """Append bytes of one stream, which are copied. Never waits."""
        data = b"".join(parts)
        self._pieces.append((stream, data))
        self._size += len(data) + PIECE_OVERHEAD

    def wait_for_room(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds until there is room; return whether there is."""
        if not self.room:
            self._made_room.clear()
            self._made_room.wait(timeout)
        return bool(self.room)

    def abort(self) -> None:
        """Drop the remaining output."""
        self.aborted = True
        self._changed.set()

    def flow_changed(self) -> None:
        """Make ``take`` look at the flow control again."""
        self._changed.set()

    def take(self) -> tuple[Stream, list[bytes]] | None:
        """Wait while output is held. Then take the next bytes of one stream: at most JOIN, or one larger piece.

        They take room until the next call. Returns None if there is nothing, and after ``abort``.
        """
        self._size -= self._taken
        self._taken = 0
        if self.room:
            self._made_room.set()
        while self._flow.output_held and not self.aborted:
            self._changed.clear()
            self._changed.wait()
        if self.aborted or not self._pieces:
            return None
        stream, data = self._pieces.popleft()
        parts, size = [data], len(data)
        while self._pieces and self._pieces[0][0] is stream and size + len(self._pieces[0][1]) <= JOIN:
            parts.append(self._pieces.popleft()[1])
            size += len(parts[-1])
        self._taken = size + PIECE_OVERHEAD * len(parts)
        return stream, parts
