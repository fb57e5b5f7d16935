"""Find the modes that a program switched on in the terminal from its output."""

import pytest

from dockerexec_ws.client.terminal.private_modes import TerminalModes


def reset(*pieces):
    modes = TerminalModes()
    for piece in pieces:
        modes.feed(memoryview(piece))
    return modes.reset_sequence()


PLAIN = b"\x1b[0m\x1b(B\x0f\x1b>\x1b7\x1b[r\x1b8"


@pytest.mark.parametrize(
    ("output", "modes"),
    [
        (b"\x1b[?1049h", [b"\x1b[?1049l"]),
        (b"\x1b[?25l", [b"\x1b[?25h"]),  # on by default
        (b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?25lx", [b"\x1b[?1049l", b"\x1b[?1l", b"\x1b[?25h"]),
        (b"\x1b[?25l\x1b[?1049h", [b"\x1b[?1049l", b"\x1b[?25h"]),  # the screen first
        (b"\x1b[?1000;1006h\x1b[?2004h", [b"\x1b[?1000l", b"\x1b[?1006l", b"\x1b[?2004l"]),
        (b"\x1b[?1000h\x1b[?1000h", [b"\x1b[?1000l"]),
    ],
)
def test_what_is_on_is_reset(output, modes):
    expected = b"".join(modes) + PLAIN
    assert reset(output) == expected
    assert reset(*(bytes([byte]) for byte in output)) == expected


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"plain\r\n",
        b"\x1b[31mred\x1b[0m",
        b"\x1b[?25h",
        b"\x1b[?1049l",
        b"\x1b[?1049h...\x1b[?1049l",
        b"\x1b[?25l\x1b[?25h",
        b"\x1b[1049h",
        b"\x1b[?12h",  # the cursor blinks: no harm
        b"\x1b[?;h",
        b"\x1b[?" + b"9" * 5000 + b"h",
        b"\x1b[?1049",
    ],
)
def test_nothing_is_reset_that_needs_no_reset(output):
    assert reset(output) == b""
    assert reset(*(bytes([byte]) for byte in output)) == b""


def test_what_is_remembered_of_an_endless_sequence_is_bounded():
    modes = TerminalModes()
    for _ in range(100):
        modes.feed(b"\x1b[?1;" * 1000 + b"1" * 1000)
    assert len(modes._rest) <= 100
