"""The stdin of a session on its way from the peer to the engine: held in order, small messages together."""

from collections import deque
from itertools import islice

JOIN = 64 * 1024
"""Bytes up to which small messages share one piece of memory: a client may send a byte at a time."""

_PARTS_AT_ONCE = 16  # written at a time; of any two neighbours one has JOIN bytes at least


class StdinBuffer:
    """Bytes that were received and that the engine has not taken; how many there may be is the owner's affair."""

    def __init__(self) -> None:
        self._parts: deque[bytearray | memoryview] = deque()

    def __bool__(self) -> bool:
        return bool(self._parts)

    def put(self, data: memoryview) -> None:
        """Append *data*, which must not be empty."""
        last = self._parts[-1] if self._parts else None
        if len(data) >= JOIN:
            self._parts.append(data)
        elif isinstance(last, bytearray) and len(last) < JOIN:
            last += data
        else:
            self._parts.append(bytearray(data))

    def first(self) -> list[bytearray | memoryview]:
        """Return the parts to write next; the last of them may still grow."""
        return list(islice(self._parts, _PARTS_AT_ONCE))

    def taken(self, size: int) -> None:
        """Drop the first *size* bytes."""
        while size:
            part = self._parts.popleft()
            if len(part) > size:
                self._parts.appendleft(memoryview(part)[size:])
            size -= min(size, len(part))
