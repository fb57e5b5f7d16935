"""Frames in, whole messages out, without a socket."""

import tracemalloc

import pytest
from websockets.frames import Frame, Opcode

from dockerexec_ws.net.assembler import Assembler

TEXT = "é€😀".encode()


def take(assembler, *frames):
    """Return the message that each frame completes, or None; a frame is (opcode, data, fin)."""
    return [assembler.take(Frame(*frame)) for frame in frames]


@pytest.mark.parametrize("data", [b"", b"\xff"])
def test_a_binary_message_of_one_frame(data):
    (message,) = take(Assembler(), (Opcode.BINARY, data, True))
    assert message == data
    assert isinstance(message, bytes)


@pytest.mark.parametrize("data", [b"", TEXT])
def test_a_text_message_of_one_frame(data):
    assert take(Assembler(), (Opcode.TEXT, data, True)) == [data.decode()]


def test_the_fragments_of_a_binary_message():
    frames = (Opcode.BINARY, b"a", False), (Opcode.CONT, b"", False), (Opcode.CONT, b"\xff", True)
    assert take(Assembler(), *frames) == [None, None, b"a\xff"]


def test_characters_may_be_cut_between_fragments():
    bytewise = [(Opcode.CONT, bytes([byte]), False) for byte in TEXT]
    frames = (Opcode.TEXT, b"", False), *bytewise, (Opcode.CONT, b"", True)
    assert take(Assembler(), *frames) == [None] * (len(TEXT) + 1) + [TEXT.decode()]


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_messages_of_only_empty_fragments(opcode):
    frames = (opcode, b"", False), (Opcode.CONT, b"", True)
    assert take(Assembler(), *frames) == [None, "" if opcode is Opcode.TEXT else b""]


def test_nothing_is_kept_from_one_message_to_the_next():
    assembler = Assembler()
    assert take(assembler, (Opcode.TEXT, b"a", False), (Opcode.CONT, b"b", True)) == [None, "ab"]
    assert take(assembler, (Opcode.BINARY, b"\xff", False), (Opcode.CONT, b"\xfe", True)) == [None, b"\xff\xfe"]
    assert take(assembler, (Opcode.BINARY, b"\xff", True)) == [b"\xff"]
    assert take(assembler, (Opcode.TEXT, b"c", False), (Opcode.CONT, b"d", True)) == [None, "cd"]


@pytest.mark.parametrize(
    "frames",
    [
        [(Opcode.TEXT, b"\xff", True)],
        [(Opcode.TEXT, b"\xff", False)],  # rejected at once, not at the message's end
        [(Opcode.TEXT, TEXT[:1], True)],  # the message ends within a character
        [(Opcode.TEXT, TEXT[:1], False), (Opcode.CONT, b"a", False)],
        [(Opcode.TEXT, b"\xed\xa0\x80", True)],  # a surrogate
    ],
)
def test_text_has_to_be_utf8(frames):
    assembler = Assembler()
    take(assembler, *frames[:-1])
    with pytest.raises(UnicodeDecodeError):
        take(assembler, frames[-1])


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_any_number_of_empty_fragments_takes_no_memory(opcode):
    assembler, empty = Assembler(), Frame(Opcode.CONT, b"", False)
    assembler.take(Frame(opcode, b"", False))
    tracemalloc.start()
    try:
        for _ in range(20_000):
            assembler.take(empty)
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()
