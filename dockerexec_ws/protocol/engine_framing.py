"""The framing of an exec's output stream, which the engine uses when the exec has no tty.

A frame is 1 byte for the stream (1 stdout, 2 stderr), 3 zero bytes, 4 bytes of big-endian length, and that many bytes
of output (engine API, "Attach to a container", *Stream format*).
"""

import struct

from dockerexec_ws.protocol.events import Stream

_HEADER = struct.Struct(">II")
_STREAMS = {0x01000000: Stream.STDOUT, 0x02000000: Stream.STDERR}  # by a header's first four bytes


class FramingError(ValueError):
    """The engine sent something that is not a frame. What follows cannot be understood."""


class StreamDemultiplexer:
    """Takes the stream in pieces of any size, and tells stdout and stderr apart.

    Output is returned as soon as it comes, before its frame is complete. Only a split header is held back.
    """

    def __init__(self) -> None:
        self._header = b""  # the part of a split header that has come so far
        self._left = 0  # bytes that the current frame still lacks
        self._stream = Stream.STDOUT  # of the current frame

    def feed(self, data: bytes | memoryview) -> list[tuple[Stream, list[memoryview]]]:
        """Return the output in *data*, in order, as slices of its memory. Adjacent slices of a stream share a list.

        Raises FramingError. The demultiplexer cannot be used after that.
        """
        view = memoryview(data)
        runs: list[tuple[Stream, list[memoryview]]] = []
        current: Stream | None = None  # of the last run
        position = 0
        while position < len(view):
            if not self._left:
                position = self._take_header(view, position)
                continue
            part = view[position : position + self._left]
            position += len(part)
            self._left -= len(part)
            if current is not self._stream:
                current = self._stream
                runs.append((current, []))
            runs[-1][1].append(part)
        return runs

    @property
    def in_frame(self) -> bool:
        """Whether the stream would be cut short if it ended now."""
        return bool(self._left or self._header)

    def _take_header(self, view: memoryview, position: int) -> int:
        """Take the header at *position*, or as much of it as there is. Return where it ends."""
        if self._header or len(view) - position < _HEADER.size:  # it is split
            part = view[position : position + _HEADER.size - len(self._header)]
            self._header += part
            if len(self._header) == _HEADER.size:
                header, self._header = self._header, b""
                self._start_frame(*_HEADER.unpack(header))
            return position + len(part)
        self._start_frame(*_HEADER.unpack_from(view, position))
        return position + _HEADER.size

    def _start_frame(self, stream: int, size: int) -> None:
        if stream not in _STREAMS:
            raise FramingError(f"the engine's stream has an invalid frame header: {_HEADER.pack(stream, size).hex()}")
        self._stream = _STREAMS[stream]
        self._left = size
