"""Frames in, whole messages out (RFC 6455 section 5.4). Pure: no socket, no clock."""

import codecs

from websockets.frames import Frame, Opcode


class Assembler:
    """Puts the fragments of messages together.

    The frames have to come in an order that the protocol allows; the parser of ``websockets`` sees to that, and to the
    limit on a message's size.
    """

    __slots__ = ("_decoder", "_fragments")

    def __init__(self) -> None:
        self._fragments: list[bytes | str] | None = None  # while a message of several frames comes in
        self._decoder: codecs.IncrementalDecoder | None = None  # while a text message comes in

    def take(self, frame: Frame) -> bytes | str | None:
        """Take a data frame; return the message that it completes, if it does: bytes, or str for a text message.

        Raises UnicodeDecodeError as soon as a text message cannot be UTF-8 any more.
        """
        if frame.opcode is Opcode.BINARY and frame.fin:  # nearly every message
            return bytes(frame.data)
        if frame.opcode is not Opcode.CONT:
            self._fragments = []
            self._decoder = codecs.getincrementaldecoder("utf-8")() if frame.opcode is Opcode.TEXT else None
        assert self._fragments is not None  # nosec B101  # for the type checker: a first frame came before
        data = bytes(frame.data)
        self._fragments.append(data if self._decoder is None else self._decoder.decode(data, frame.fin))
        if not frame.fin:
            return None
        empty: bytes | str = b"" if self._decoder is None else ""
        message = empty.join(self._fragments)  # type: ignore[arg-type]
        self._fragments = self._decoder = None
        return message
