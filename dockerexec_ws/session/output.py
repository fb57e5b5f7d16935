"""The output of a session on its way from the engine to the peer: held in bounded memory, sent in order."""

from collections import deque
from collections.abc import Sequence

from gevent.event import Event

from dockerexec_ws.protocol.events import Stream
from dockerexec_ws.protocol.flow import FlowControl

JOIN = 256 * 1024
"""Adjacent pieces of one stream go into one message up to this many bytes."""

PIECE_OVERHEAD = 128
"""Bytes that a piece takes beside its data; counted, or a process that writes byte by byte could take any memory."""


class OutputBuffer:
    """Stream bytes, put by the greenlet that reads the engine and taken by the one that writes to the peer.

    *limit* is in bytes: whoever reads the engine should read no more than there is ``room`` for. ``take`` waits while
    *flow* says that output is held; call ``flow_changed`` when that may be over.
    """

    def __init__(self, flow: FlowControl, limit: int) -> None:
        self._flow = flow
        self._limit = limit
        self._pieces: deque[tuple[Stream, bytes]] = deque()
        self._size = 0
        self._taken = 0  # of that, what was taken last
        self.aborted = False
        """Whether what was not taken has been given up."""
        self._changed = Event()
        self._made_room = Event()

    @property
    def room(self) -> int:
        """How many bytes may be put, in one piece."""
        return max(self._limit - self._size - PIECE_OVERHEAD, 0)

    def put(self, stream: Stream, parts: Sequence[bytes | memoryview]) -> None:
        """Append one stream's bytes, which are copied; never waits."""
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
        """Give up what was not taken yet."""
        self.aborted = True
        self._changed.set()

    def flow_changed(self) -> None:
        """Have the flow control looked at again."""
        self._changed.set()

    def take(self) -> tuple[Stream, list[bytes]] | None:
        """Wait while output is held; then take what there is of one stream: at most JOIN bytes, or one larger piece.

        It counts until the next call. Returns None if there is nothing, and after ``abort``.
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
