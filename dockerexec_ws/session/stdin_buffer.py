"""The stdin of a session on its way from the client to the engine, in order."""

from collections import deque
from itertools import islice

JOIN = 64 * 1024
"""Small messages share one piece of memory of up to this many bytes, because a client may send byte by byte."""

_PARTS_AT_ONCE = 16  # to write; of any two neighbours, one has at least JOIN bytes


class StdinBuffer:
    """Bytes that the client sent and the engine has not taken. The owner limits how many there are."""

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
