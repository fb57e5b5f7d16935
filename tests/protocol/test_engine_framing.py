import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockerexec_ws.protocol.engine_framing import FramingError, StreamDemultiplexer
from dockerexec_ws.protocol.events import Stream

CODES = {1: Stream.STDOUT, 2: Stream.STDERR}

frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=12)
cuts = st.lists(st.integers(0, 400), max_size=30)
bad_headers = st.one_of(
    st.tuples(st.integers(0, 255).filter(lambda stream: stream not in CODES), st.just(b"\0\0\0")),
    st.tuples(st.sampled_from([1, 2]), st.binary(min_size=3, max_size=3).filter(any)),
).flatmap(
    lambda start: st.builds(lambda length: bytes([start[0]]) + start[1] + length, st.binary(min_size=4, max_size=4))
)


def frame(stream, data):
    return bytes([stream, 0, 0, 0]) + struct.pack(">I", len(data)) + data


def pieces(data, cuts):
    """Split *data* at these positions; equal positions give empty pieces."""
    positions = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(positions)]


def joined(runs):
    """Merge adjacent runs of the same stream, and leave out empty runs."""
    groups = itertools.groupby(((code, data) for code, data in runs if data), key=lambda run: run[0])
    return [(code, b"".join(data for _, data in group)) for code, group in groups]


def feed(demultiplexer, data):
    """Return the demultiplexer's runs for *data*, with the parts of each run joined."""
    return [(code, b"".join(parts)) for code, parts in demultiplexer.feed(data)]


def feed_all(demultiplexer, data):
    return [run for piece in data for run in feed(demultiplexer, piece)]


@settings(deadline=None)
@given(frames, cuts)
def test_any_split_gives_the_same_runs(frames, cuts):
    stream = b"".join(frame(*each) for each in frames)
    demultiplexer = StreamDemultiplexer()
    runs = feed_all(demultiplexer, pieces(stream, cuts))
    assert joined(runs) == joined((CODES[number], data) for number, data in frames)
    assert not demultiplexer.in_frame


@settings(deadline=None)
@given(frames, cuts)
def test_no_byte_of_a_frame_waits_for_the_next_one(frames, cuts):
    stream = b"".join(frame(*each) for each in frames)
    # The stream of the payload byte at each position; None for a header's byte.
    owners = [owner for number, data in frames for owner in [None] * 8 + [CODES[number]] * len(data)]
    demultiplexer = StreamDemultiplexer()
    position = 0
    for piece in pieces(stream, cuts):
        here = range(position, position + len(piece))
        position += len(piece)
        payload = [(owners[i], stream[i : i + 1]) for i in here if owners[i] is not None]
        assert feed(demultiplexer, piece) == joined(payload)


@settings(deadline=None)
@given(frames)
def test_in_frame_at_each_cut(frames):
    stream = b"".join(frame(*each) for each in frames)
    ends = set(itertools.accumulate((8 + len(data) for _, data in frames), initial=0))
    demultiplexer = StreamDemultiplexer()
    assert not demultiplexer.in_frame
    for position in range(len(stream)):
        demultiplexer.feed(stream[position : position + 1])
        assert demultiplexer.in_frame == (position + 1 not in ends)


@settings(deadline=None)
@given(frames, bad_headers, st.binary(max_size=8), cuts)
def test_a_bad_header_is_an_error_wherever_it_is_split(frames, header, rest, cuts):
    good = b"".join(frame(*each) for each in frames)
    demultiplexer = StreamDemultiplexer()
    feed_all(demultiplexer, pieces(good, cuts))
    with pytest.raises(FramingError, match=header.hex()):
        feed_all(demultiplexer, pieces(header + rest, cuts))


@pytest.mark.parametrize("cut", range(9))
def test_a_bad_header_in_two_pieces(cut):
    header = bytes.fromhex("0300000000000001")
    demultiplexer = StreamDemultiplexer()
    with pytest.raises(FramingError):
        feed_all(demultiplexer, [header[:cut], header[cut:]])


def test_empty_frames_are_no_runs_and_split_none():
    demultiplexer = StreamDemultiplexer()
    stream = frame(1, b"") + frame(1, b"a") + frame(2, b"") + frame(1, b"b") + frame(2, b"")
    assert feed(demultiplexer, stream) == [(Stream.STDOUT, b"ab")]
    assert not demultiplexer.in_frame


def test_nothing_at_all():
    demultiplexer = StreamDemultiplexer()
    assert feed(demultiplexer, b"") == []
    assert not demultiplexer.in_frame


def test_the_runs_of_one_piece_keep_their_order():
    demultiplexer = StreamDemultiplexer()
    assert feed(demultiplexer, frame(2, b"1") + frame(1, b"2") + frame(1, b"3") + frame(2, b"4")) == [
        (Stream.STDERR, b"1"),
        (Stream.STDOUT, b"23"),
        (Stream.STDERR, b"4"),
    ]


def test_a_length_has_32_bits():
    demultiplexer = StreamDemultiplexer()
    assert feed(demultiplexer, bytes.fromhex("01000000ffffffff") + b"begin") == [(Stream.STDOUT, b"begin")]
    assert demultiplexer.in_frame
