"""The escape in typed input, in pieces of any size."""

import pytest

from dockerexec_ws.client.terminal.escape import EscapeFilter, escape_character
from dockerexec_ws.errors import SettingsError


def typed(*pieces, character=b"~"):
    keys = EscapeFilter(character)
    return b"".join(map(keys.feed, pieces)), keys.found


@pytest.mark.parametrize(
    ("data", "passed", "found"),
    [
        (b"~.", b"", True),  # the start of the input starts a line
        (b"ls\r~.", b"ls\r", True),
        (b"ls\n~.", b"ls\n", True),
        (b"ls\r~.rm\r", b"ls\r", True),  # input after the escape is dropped
        (b"a~.", b"a~.", False),
        (b"\r ~.", b"\r ~.", False),
        (b"\r~~.", b"\r~.", False),  # two tildes send one
        (b"\r~~~.", b"\r~~.", False),
        (b"\r~a~.", b"\r~a~.", False),
        (b"\r~\r~.", b"\r~\r", True),
        (b"cd ~\r~.", b"cd ~\r", True),
        (b"\x10\x03\x00\xff\r", b"\x10\x03\x00\xff\r", False),
        (b"", b"", False),
    ],
)
def test_the_escape_is_found_and_all_else_is_passed_on(data, passed, found):
    assert typed(data) == (passed, found)
    assert typed(*(bytes([byte]) for byte in data)) == (passed, found)


def test_the_character_is_held_back_until_the_next_key():
    keys = EscapeFilter(b"~")
    assert keys.feed(b"\r~") == b"\r"
    assert keys.feed(b"x") == b"~x"


def test_another_character():
    assert typed(b"\r~.\r\x1d.", character=escape_character("^]")) == (b"\r~.\r", True)


def test_no_escape():
    assert typed(b"\r~.", character=escape_character("none")) == (b"\r~.", False)


@pytest.mark.parametrize(("text", "character"), [("~", b"~"), ("^", b"^"), ("^]", b"\x1d"), ("^p", b"\x10")])
def test_how_a_character_is_named(text, character):
    assert escape_character(text) == character


@pytest.mark.parametrize("text", ["", "~~", ".", "\r", "ü", "^^^", "^1", "None"])
def test_what_names_no_character(text):
    with pytest.raises(SettingsError, match="not an escape character"):
        escape_character(text)
