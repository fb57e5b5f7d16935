import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockerexec_ws.protocol.events import (
    End,
    Error,
    Malformed,
    Output,
    Pause,
    Resize,
    Resume,
    Shutdown,
    Stdin,
    Stopped,
    Stream,
    Unknown,
)
from dockerexec_ws.protocol.v1 import Code, encode, encode_output, parse_client_message, parse_server_message

CLIENT_CODES = {0, 50, 100, 101, 102}


def test_the_codes_are_the_originals():
    assert {code.name: code.value for code in Code} == {
        "STDIN": 0,
        "STDOUT": 1,
        "STDERR": 2,
        "RESIZE": 50,
        "RESUME": 100,
        "PAUSE": 101,
        "END": 102,
        "STOPPED": 200,
        "SHUTDOWN": 201,
        "ERROR": 202,
    }


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (b"\x64", Resume()),
        (b"\x65", Pause()),
        (b"\x66", End()),
        (b"\x64 and a payload", Resume()),
        (b"\x65 and a payload", Pause()),
        (b"\x66 and a payload", End()),
        (b"", Unknown(None)),
    ],
)
def test_messages_without_a_payload(message, meaning):
    assert parse_client_message(message) == meaning


@settings(deadline=None)
@given(st.binary())
def test_stdin_is_every_byte_after_the_code(data):
    assert parse_client_message(b"\0" + data) == Stdin(memoryview(data))


def test_stdin_is_not_copied():
    message = b"\0" + bytes(1024)
    assert parse_client_message(message).data.obj is message


@settings(deadline=None)
@given(rows=st.integers(0, 0xFFFF), columns=st.integers(0, 0xFFFF))
def test_resize_is_rows_then_columns_in_little_endian(rows, columns):
    assert parse_client_message(b"\x32" + struct.pack("<HH", rows, columns)) == Resize(rows, columns)


def test_resize_bytes():
    assert parse_client_message(b"\x32\x18\x00\x50\x01") == Resize(rows=24, columns=336)


@settings(deadline=None)
@given(st.binary(max_size=16).filter(lambda payload: len(payload) != 4))
def test_a_short_or_long_resize_is_told_apart_from_a_good_one(payload):
    meaning = parse_client_message(b"\x32" + payload)
    assert isinstance(meaning, Malformed)
    assert (
        f"4 bytes after its code (rows and columns, two unsigned 16-bit little-endian numbers), not {len(payload)}"
        in (meaning.text)
    )


@settings(deadline=None)
@given(code=st.integers(0, 255).filter(lambda code: code not in CLIENT_CODES), payload=st.binary(max_size=8))
def test_any_other_code_is_unknown_the_servers_own_included(code, payload):
    assert parse_client_message(bytes([code]) + payload) == Unknown(code)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Stdin(b"\0\xff%b"), b"\x00\0\xff%b"),
        (Output(Stream.STDOUT, b"\0\xff%b"), b"\x01\0\xff%b"),
        (Output(Stream.STDERR, memoryview(b"x")), b"\x02x"),
        (Resize(24, 336), b"\x32\x18\x00\x50\x01"),
        (Resume(), b"\x64"),
        (Pause(), b"\x65"),
        (End(), b"\x66"),
        (Stopped(137), b"\xc8\x89"),
        (Shutdown(), b"\xc9"),
        (Error("no"), b"\xcano"),
    ],
)
def test_a_message_is_its_code_and_payload(event, message):
    assert encode(event) == message


@pytest.mark.parametrize("stream", Stream)
def test_output_of_many_parts_is_one_message_and_not_copied(stream):
    parts = [memoryview(b"one"), memoryview(b"two")]
    message = encode_output(stream, parts)
    assert b"".join(message) == encode(Output(stream, b"onetwo"))
    assert all(any(part is given for part in message) for given in parts)


@pytest.mark.parametrize("exit_code", [0, 1, 126, 127, 128, 137, 255])
def test_the_exit_code_is_one_unsigned_byte(exit_code):
    assert encode(Stopped(exit_code)) == bytes([200, exit_code])


@pytest.mark.parametrize("exit_code", [-1, 256])
def test_no_exit_code_is_cut_down_to_a_byte(exit_code):
    with pytest.raises(ValueError):
        encode(Stopped(exit_code))


def test_an_error_message_is_utf8():
    assert encode(Error("Zählerstand ≠ 0")) == b"\xca" + "Zählerstand ≠ 0".encode()
    assert encode(Error("")) == b"\xca"


# The client's side


@settings(deadline=None)
@given(stream=st.sampled_from(Stream), data=st.binary())
def test_output_is_every_byte_after_the_code(stream, data):
    assert parse_server_message(encode(Output(stream, data))) == Output(stream, memoryview(data))


def test_output_is_not_copied():
    message = bytearray(b"\1" + bytes(1024))
    assert parse_server_message(message).data.obj is message


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (b"\x64", Resume()),
        (b"\x65", Pause()),
        (b"\xc8\x89", Stopped(137)),
        (b"\xc9", Shutdown()),
        (encode(Error("Zählerstand")), Error("Zählerstand")),
        (b"\xca", Error("")),
        (b"\xca\xff", Error("\ufffd")),
        (b"", Unknown(None)),
        (b"\0stdin", Unknown(0)),
        (b"\x32\0\0\0\0", Unknown(50)),
    ],
)
def test_what_a_server_says(message, meaning):
    assert parse_server_message(message) == meaning


@pytest.mark.parametrize("payload", [b"", b"\0\0"])
def test_an_exit_code_is_never_made_up_of_a_malformed_message(payload):
    assert isinstance(parse_server_message(b"\xc8" + payload), Malformed)


@settings(deadline=None)
@given(rows=st.integers(0, 0xFFFF), columns=st.integers(0, 0xFFFF))
def test_a_resize_message_is_what_the_server_understands(rows, columns):
    assert parse_client_message(encode(Resize(rows, columns))) == Resize(rows, columns)
