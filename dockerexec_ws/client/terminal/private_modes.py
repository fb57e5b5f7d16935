"""Which terminal modes a program has switched, and what restores them when the program cannot. No I/O."""

import re

# DEC private modes that make a terminal hard to use if they stay (xterm, "Control Sequences", DECSET). The alternate
# screen comes first, because leaving it restores the cursor of the main screen. 1: cursor keys of an application,
# 7: wraparound, 9 and 1000 to 1006, 1015, 1016: mouse, 1004: focus, 2004: bracketed paste.
_RESETTABLE = (1049, 1047, 47, 1, 7, 9, 25, 66, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004)
_ON_BY_DEFAULT = {7, 25}  # wraparound, the cursor

_SWITCH = re.compile(rb"\x1b\[\?([0-9;]{1,64})([hl])")
_UNFINISHED = re.compile(rb"\x1b(\[(\?[0-9;]{0,64})?)?\Z")

# Attributes, character set, keypad, scrolling region. The last moves the cursor, so the cursor is saved and restored.
_PLAIN = b"\x1b[0m\x1b(B\x0f\x1b>\x1b7\x1b[r\x1b8"


class TerminalModes:
    """Watches the output for modes that change. Only those are reset."""

    def __init__(self) -> None:
        self._changed: set[int] = set()
        self._rest = b""  # the beginning of a sequence that is not complete

    def feed(self, data: bytes | memoryview) -> None:
        """Look at the next piece of output."""
        text = self._rest + bytes(data)
        for numbers, switch in _SWITCH.findall(text):
            for mode in map(int, filter(None, numbers.split(b";"))):
                if (switch == b"h") is (mode in _ON_BY_DEFAULT):
                    self._changed.discard(mode)
                elif mode in _RESETTABLE:
                    self._changed.add(mode)
        unfinished = _UNFINISHED.search(text)
        self._rest = unfinished[0] if unfinished else b""

    def reset_sequence(self) -> bytes:
        """Return the sequence that restores what was switched; b"" if nothing was."""
        modes = [mode for mode in _RESETTABLE if mode in self._changed]
        if not modes:
            return b""
        return b"".join(b"\x1b[?%d%c" % (mode, b"lh"[mode in _ON_BY_DEFAULT]) for mode in modes) + _PLAIN
