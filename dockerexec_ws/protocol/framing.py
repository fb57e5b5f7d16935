"""The framing of an exec's output stream, as the engine sends it when the exec has no tty.

Engine API, "Attach to a container", *Stream format*: 1 byte stream (1 stdout, 2 stderr), 3 zero bytes,
4 bytes big-endian length, then that many bytes.
"""

import struct

from dockerexec_ws.protocol.messages import Code

_HEADER = struct.Struct(">B3sI")
_CODES = {1: Code.STDOUT, 2: Code.STDERR}


class FramingError(ValueError):
    """The engine sent something that is no frame; what follows cannot be understood."""


class StreamDemultiplexer:
    """Takes the stream in pieces of any size and tells stdout and stderr apart.

    Bytes are handed on as soon as they come, not when their frame is complete; nothing but a split header is held back.
    """

    def __init__(self) -> None:
        self._header = b""  # the part of a header that has come so far
        self._left = 0  # bytes that the frame under way still has to bring
        self._code = Code.STDOUT  # of the frame under way

    def feed(self, data: bytes) -> list[tuple[Code, bytes]]:
        """Return the stream bytes in *data*, in order, adjacent ones of one stream joined.

        Raises FramingError; the demultiplexer is of no use after that.
        """
        view = memoryview(data)
        runs: list[tuple[Code, list[memoryview]]] = []
        position = 0
        while position < len(view):
            if not self._left:
                wanted = _HEADER.size - len(self._header)
                self._header += view[position : position + wanted]
                position += wanted
                if len(self._header) < _HEADER.size:
                    break
                self._start_frame()
                continue
            piece = view[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            if runs and runs[-1][0] is self._code:
                runs[-1][1].append(piece)
            else:
                runs.append((self._code, [piece]))
        return [(code, b"".join(pieces)) for code, pieces in runs]

    @property
    def in_frame(self) -> bool:
        """Whether the stream would be cut short if it ended now."""
        return bool(self._left or self._header)

    def _start_frame(self) -> None:
        stream, zero, self._left = _HEADER.unpack(self._header)
        if stream not in _CODES or zero != b"\0\0\0":
            raise FramingError(f"the engine's stream has a frame header that is none: {self._header.hex()}")
        self._code = _CODES[stream]
        self._header = b""
