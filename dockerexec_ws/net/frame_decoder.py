"""Bytes in, messages and frames out. Pure: no socket, no clock.

Nearly all bytes that a client sends are stdin, in messages of one plain frame each. The parser of ``websockets`` would
copy them four times, so they take a short way: they are unmasked right from the memory that they were read into. The
parser gets all other frames, and it alone judges what is an error.
"""

from typing import cast

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # it was installed where there is no C compiler
    from websockets.utils import apply_mask

_FINAL = 0x80
_PLAIN = _FINAL | Opcode.BINARY  # the first byte of a frame that is a whole binary message
_MASKED = 0x80
_MASK_SIZE = 4
_LONGEST_HEAD = 14  # bytes


class FrameDecoder:
    """Decodes what one client sends. *protocol* has the parser for all that does not take the short way.

    *max_size* limits a message that takes it, in bytes. A message that begins with the byte *prefix* is a piece of a
    stream: while it has come only in part, it may be cut into several messages that all begin with that byte. With b""
    there are none.
    """

    __slots__ = ("_direct", "_fragmented", "_head", "_mask", "_max_size", "_prefix", "_protocol", "_rest")

    def __init__(self, protocol: Protocol, *, max_size: int, prefix: bytes) -> None:
        self._protocol = protocol
        self._max_size = max_size
        self._prefix = prefix
        self._direct = not protocol.extensions
        self._head = b""  # the next frame's head, while it has come only in part
        self._rest = 0  # bytes that are still to come of the frame whose head has come
        self._mask = b""  # for these bytes; b"" if they go to the parser
        self._fragmented = False  # between two fragments of a message

    def decode(self, data: memoryview) -> list[Frame | bytes]:
        """Decode the bytes that come next. A bytes object is a whole binary message. Keeps no reference to *data*.

        The parser may have found an error, and may have answers ready to send.
        """
        decoded: list[Frame | bytes] = []
        position = 0
        while position < len(data):
            if not self._rest:
                position = self._begin(data, position, decoded)
                continue
            payload = data[position : position + self._rest]
            if self._mask:
                decoded.append(self._prefix + apply_mask(payload, self._mask))
                self._turn_mask(len(payload))
            else:
                decoded += self._parse(payload)
            self._rest -= len(payload)
            position += len(payload)
        return decoded

    def end(self) -> None:
        """Tell the parser that no more bytes come. Idempotent: two greenlets may both read up to the end."""
        if self._head:
            self._parse(self._head)
            self._head = b""
        self._protocol.receive_eof()

    def _begin(self, data: memoryview, position: int, decoded: list[Frame | bytes]) -> int:
        """Take the head of a frame, and the payload if all of it has come. Return the position of what is left."""
        known = len(self._head)
        head = self._head + bytes(data[position : position + _LONGEST_HEAD - known])
        size, length = _measure(head)
        if len(head) < size:
            self._head = head
            return len(data)
        start = position + size - known
        if self._is_plain(head, length):
            mask = head[size - _MASK_SIZE : size]
            if length <= len(data) - start:
                self._head = b""
                decoded.append(apply_mask(data[start : start + length], mask))
                return start + length
            if start == len(data):  # the first byte of the payload decides
                self._head = head[:size]
                return start
            if bytes([data[start] ^ mask[0]]) == self._prefix:
                self._head = b""
                self._mask = mask
                self._turn_mask(1)
                self._rest = length - 1
                return start + 1
        self._head = self._mask = b""
        self._rest = length
        if head[0] & 0x0F < Opcode.CLOSE:
            self._fragmented = not head[0] & _FINAL
        decoded += self._parse(head[:size])
        return start

    def _is_plain(self, head: bytes, length: int) -> bool:
        return (
            head[0] == _PLAIN
            and head[1] >= _MASKED
            and length <= self._max_size
            and self._direct
            and not self._fragmented
            and self._protocol.state is State.OPEN
        )

    def _turn_mask(self, count: int) -> None:
        """Have the mask begin with the byte for what follows the next *count* bytes."""
        self._mask = self._mask[count % _MASK_SIZE :] + self._mask[: count % _MASK_SIZE]

    def _parse(self, data: bytes | memoryview) -> list[Frame]:
        self._protocol.receive_data(cast("bytes", data))  # any kind of buffer: it appends it to its own
        return cast("list[Frame]", self._protocol.events_received())  # no handshakes come here


def _measure(head: bytes) -> tuple[int, int]:
    """Return the sizes of a frame's head and of its payload, by as much of the head as has come (RFC 6455 section 5.2).

    The head is at least as large as is returned, and the payload's size is right if the whole head has come.
    """
    if len(head) < 2:
        return 2, 0
    size = 2 + (_MASK_SIZE if head[1] & _MASKED else 0)
    length = head[1] & 0x7F
    if length < 126:
        return size, length
    extended = 2 if length == 126 else 8
    return size + extended, int.from_bytes(head[2 : 2 + extended], "big")
