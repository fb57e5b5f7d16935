"""The local escape, as in ssh: what to type to leave a session that does not answer. No I/O."""

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
    raise SettingsError(f"{text!r} is not an escape character. Use one ASCII character, ^X for Ctrl-X, or 'none'.")


class EscapeFilter:
    """Finds the escape in what is typed: *character* at the start or after a line end, and then a dot.

    The character is held back until the next key. Typed twice, it is sent once. If it is b"", there is no escape.
    """

    def __init__(self, character: bytes) -> None:
        self.found = False
        """Whether the escape was typed. What follows it is dropped."""
        self._character = character
        self._at_line_start = True
        self._held = False  # the character was typed at the start of a line
        self._line_end_and_character = re.compile(b"[" + _LINE_ENDS + b"]" + re.escape(character))

    def feed(self, data: bytes) -> bytes:
        """Return what the process gets of *data* and of the character that was held back."""
        if not self._character:
            return data
        passed = bytearray()
        position = 0
        while position < len(data) and not self.found:
            if self._held:
                self._held = False
                if data[position] == _LEAVE:
                    self.found = True
                    continue
                if data[position] != self._character[0]:
                    passed += self._character
            elif self._at_line_start and data[position] == self._character[0]:
                self._held = True
                position += 1
                continue
            # A large paste takes one search, not a step for each byte.
            match = self._line_end_and_character.search(data, position)
            end = match.start() + 1 if match else len(data)
            passed += data[position:end]
            self._at_line_start = data[end - 1] in _LINE_ENDS
            position = end
        return bytes(passed)
