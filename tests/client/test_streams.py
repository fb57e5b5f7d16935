"""The file objects of a session's streams after the session fails: earlier output is read first."""

import io
import shutil

import pytest

from dockerexec_ws.client import ConnectionLost, connect
from tests.client.scripted import READY, say

BROKEN_OFF = say(READY, b"\x01a\nb", b"\x02err")


def read_all(stream):
    return stream.read()


def read_some(stream):
    assert stream.read(100) == b"a\nb"
    stream.read(100)


def read_lines(stream):
    assert [stream.readline(), stream.readline()] == [b"a\n", b"b"]
    stream.readline()


def iterate(stream):
    lines = []
    with pytest.raises(ConnectionLost):
        lines.extend(stream)
    for line in stream:
        raise AssertionError(line)


def read_into(stream):
    buffer = bytearray(100)
    assert stream.readinto(buffer) == 3
    stream.readinto1(buffer)


def peek(stream):
    assert stream.peek() == b"a\nb"
    assert stream.read1() == b"a\nb"
    stream.peek()


def copy(stream):
    target = io.BytesIO()
    try:
        shutil.copyfileobj(stream, target)
    finally:
        assert target.getvalue() == b"a\nb"


def as_text(stream):
    text = io.TextIOWrapper(stream)
    try:
        assert text.readline() == "a\n"
        text.readline()
    finally:
        text.detach()


@pytest.mark.parametrize("read", [read_all, read_some, read_lines, iterate, read_into, peek, copy, as_text])
def test_output_before_a_failure_is_read_first(listen, read):
    process = connect(listen(BROKEN_OFF), ["true"])
    with pytest.raises(ConnectionLost) as caught:
        read(process.stdout)
    assert caught.value.stdout == (b"a\nb" if read is read_all else b"")
    with pytest.raises(ConnectionLost):
        process.stdout.read1()
    with pytest.raises(ConnectionLost) as caught:
        process.stderr.read()
    assert caught.value.stderr == b"err"
    process.close()


def test_communicate_with_input_for_a_closed_stdin(listen):
    process = connect(listen(BROKEN_OFF), ["true"])
    process.stdin.close()
    with pytest.raises(ValueError, match="stdin is already closed"):
        process.communicate(b"x")
    process.close()
