"""Output that was received but not yet asked for, within bounds. No I/O and no lock: the connection has both."""

from collections import deque

from dockerexec_ws.protocol.events import Stream

OUTPUT_LIMIT = 2 * 1024 * 1024
"""Bytes held above which the server is told to pause. At half of them it is told to resume."""

TTY_OUTPUT_LIMIT = 128 * 1024
"""The same with a tty. Held output delays what the user sees after Ctrl-C."""

UNREAD_LIMIT = 16 * 1024 * 1024
"""Bytes held above which the connection is not read from. A server whose stdin is stalled ignores a pause."""

PIECE_COST = 400
"""Overhead of a piece, in bytes. It is counted because the pieces may be single bytes."""


class OutputQueue:
    """Pieces of stdout and stderr, in the order of their arrival. *limit* is in bytes."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        """Bytes held, and their overhead."""
        self.overfull = False
        """Whether the connection must not be read from: from above UNREAD_LIMIT until half of it is left."""
        self._limit = limit
        self._pieces: dict[Stream, deque[tuple[int, memoryview]]] = {Stream.STDOUT: deque(), Stream.STDERR: deque()}
        self._arrivals = 0  # the number of pieces so far; orders the two streams
        self._dropped: set[Stream] = set()  # streams whose output is not kept
        self._pausing = False  # a pause was due, and no resume since

    def put(self, stream: Stream, data: memoryview) -> bool:
        """Hold *data*. Return whether the server must be told to pause now."""
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
        """Return *stream* if it has output. Without *stream*, return the one whose next piece came first."""
        if stream is not None:
            return stream if self._pieces[stream] else None
        waiting = [each for each, pieces in self._pieces.items() if pieces]
        return min(waiting, key=lambda each: self._pieces[each][0][0], default=None)

    def take(self, stream: Stream) -> memoryview:
        """Return the next piece of a stream that has output."""
        _, data = self._pieces[stream].popleft()
        self.size -= len(data) + PIECE_COST
        return data

    def take_into(self, stream: Stream, buffer: memoryview) -> int:
        """Fill *buffer* with the output of a stream. Return how many bytes there were."""
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
        """Drop the output of a stream, now and from now on."""
        self._dropped.add(stream)
        self.size -= sum(len(data) + PIECE_COST for _, data in self._pieces[stream])
        self._pieces[stream].clear()

    def relieved(self) -> bool:
        """Return True once when the connection may be read from again."""
        relieved = self.overfull and self.size <= UNREAD_LIMIT // 2
        self.overfull = self.overfull and not relieved
        return relieved

    def resume_due(self) -> bool:
        """Return True once when the server must be told to resume after a pause."""
        due = self._pausing and self.size <= self._limit // 2
        self._pausing = self._pausing and not due
        return due
