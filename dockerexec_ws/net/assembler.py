"""Frames in, whole messages out (RFC 6455 section 5.4). Pure: no socket, no clock."""

import codecs

from websockets.frames import Frame, Opcode


class Assembler:
    """Puts the fragments of messages together.

    The frames have to come in an order that the protocol allows; the parser of ``websockets`` sees to that, and to the
    limit on a message's size.
    """

    __slots__ = ("_decoder", "_message")

    def __init__(self) -> None:
        # While a message of several frames comes in. One buffer, because there may be any number of tiny fragments.
        self._message = bytearray()
        self._decoder: codecs.IncrementalDecoder | None = None  # checks a text message that comes in

    def take(self, frame: Frame) -> bytes | str | None:
        """Take a data frame; return the message that it completes, if it does: bytes, or str for a text message.

        Raises UnicodeDecodeError as soon as a text message cannot be UTF-8 any more.
        """
        if frame.opcode is Opcode.BINARY and frame.fin:
            return bytes(frame.data)
        if frame.opcode is not Opcode.CONT:
            self._decoder = codecs.getincrementaldecoder("utf-8")() if frame.opcode is Opcode.TEXT else None
        self._message += frame.data
        if self._decoder is not None:
            self._decoder.decode(bytes(frame.data), frame.fin)
        if not frame.fin:
            return None
        message = bytes(self._message) if self._decoder is None else self._message.decode()
        self._message, self._decoder = bytearray(), None
        return message
