"""The local escape: what is typed to leave a session that does not answer, as in ssh; no I/O here."""

import re

from dockerexec_ws.errors import SettingsError

_LEAVE = ord(".")
_LINE_ENDS = b"\r\n"


def escape_character(text: str) -> bytes:
    """Return the character that *text* names: itself, ``^X`` for a control character, b"" for ``none``.

    Raises SettingsError.
    """
    if text == "none":
        return b""
    if re.fullmatch(r"\^[@-_a-z]", text):
        return bytes([ord(text[1]) & 0x1F])
    if len(text) == 1 and text.isascii() and text not in ".\r\n":
        return text.encode()
    raise SettingsError(f"{text!r} is no escape character: it is one ASCII character, ^X for a control one, or 'none'")


class EscapeFilter:
    """Takes what is typed and finds the escape: the character after a line end, or at the start, and then a dot.

    The character is held back until the next one is typed; typed twice it is sent once. With b"" there is no escape.
    """

    def __init__(self, character: bytes) -> None:
        self.found = False
        """Whether it was typed; nothing that follows counts."""
        self._character = character
        self._at_line_start = True
        self._held = False  # the character, after a line end

    def feed(self, data: bytes) -> bytes:
        """Return what of *data*, and of what was held back, is for the process."""
        if not self._character:
            return data
        passed = bytearray()
        for byte in b"" if self.found else data:
            if self._held:
                self._held = False
                if byte == _LEAVE:
                    self.found = True
                    break
                if byte != self._character[0]:
                    passed += self._character
            elif self._at_line_start and byte == self._character[0]:
                self._held = True
                continue
            passed.append(byte)
            self._at_line_start = byte in _LINE_ENDS
        return bytes(passed)
