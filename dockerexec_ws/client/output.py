"""Output that nobody has asked for yet, within bounds; no I/O and no lock: the session has both."""

from collections import deque

from dockerexec_ws.protocol.events import Stream

OUTPUT_LIMIT = 2 * 1024 * 1024
"""Bytes kept above which the server is told to wait (101), and at half of which to go on (100)."""

TTY_OUTPUT_LIMIT = 128 * 1024
"""The same with a tty: what is kept delays what the user sees after Ctrl-C."""

UNREAD_LIMIT = 16 * 1024 * 1024
"""Bytes kept above which the connection is not read from: a server whose stdin is stalled does not heed a 101."""

PIECE_COST = 400
"""Bytes that keeping a piece takes beside its own: a process may write, and a server send, one byte at a time."""


class OutputQueue:
    """Pieces of stdout and stderr in the order in which they came; *limit* is in bytes."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        """Bytes kept, and what keeping them costs."""
        self.overfull = False
        """Whether the connection must not be read from: above UNREAD_LIMIT, until half of it is left."""
        self._limit = limit
        self._pieces: dict[Stream, deque[tuple[int, memoryview]]] = {Stream.STDOUT: deque(), Stream.STDERR: deque()}
        self._arrivals = 0  # pieces that came; tells the order of the two streams
        self._dropped: set[Stream] = set()  # streams of which nothing is kept any more
        self._pausing = False  # a 101 was due, and no 100 since

    def put(self, stream: Stream, data: memoryview) -> bool:
        """Keep *data*; return whether a 101 is due now."""
        if not data or stream in self._dropped:
            return False
        self._pieces[stream].append((self._arrivals, data))
        self._arrivals += 1
        self.size += len(data) + PIECE_COST
        self.overfull = self.overfull or self.size > UNREAD_LIMIT
        due = self.size > self._limit and not self._pausing
        self._pausing = self._pausing or due
        return due

    def first(self, stream: Stream | None = None) -> Stream | None:
        """Return *stream* if there is something of that stream; without it, the stream whose next piece came first."""
        if stream is not None:
            return stream if self._pieces[stream] else None
        waiting = [each for each, pieces in self._pieces.items() if pieces]
        return min(waiting, key=lambda each: self._pieces[each][0][0], default=None)

    def take(self, stream: Stream) -> memoryview:
        """Return the next piece of a stream that has one."""
        _, data = self._pieces[stream].popleft()
        self.size -= len(data) + PIECE_COST
        return data

    def take_into(self, stream: Stream, buffer: memoryview) -> int:
        """Fill *buffer* with what there is of a stream; return the bytes."""
        filled = 0
        pieces = self._pieces[stream]
        while pieces and filled < len(buffer):
            arrival, data = pieces.popleft()
            part = data[: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) < len(data):
                pieces.appendleft((arrival, data[len(part) :]))
            else:
                self.size -= PIECE_COST
        self.size -= filled
        return filled

    def drop(self, stream: Stream) -> None:
        """Keep nothing of a stream any more."""
        self._dropped.add(stream)
        self.size -= sum(len(data) + PIECE_COST for _, data in self._pieces[stream])
        self._pieces[stream].clear()

    def relieved(self) -> bool:
        """Return whether the connection may be read from again; once each time."""
        relieved = self.overfull and self.size <= UNREAD_LIMIT // 2
        self.overfull = self.overfull and not relieved
        return relieved

    def resume_due(self) -> bool:
        """Return whether a 100 is due now; once for each 101."""
        due = self._pausing and self.size <= self._limit // 2
        self._pausing = self._pausing and not due
        return due
