"""Output that waits to be read: nothing is lost or mixed up, and 101 and 100 become due in turn."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockerexec_ws.client.output_queue import OUTPUT_LIMIT, PIECE_COST, UNREAD_LIMIT, OutputQueue
from dockerexec_ws.protocol.events import Stream

OUT, ERR = Stream.STDOUT, Stream.STDERR
each_code = st.sampled_from([OUT, ERR])


@settings(deadline=None)
@given(pieces=st.lists(st.tuples(each_code, st.binary())), seed=st.integers())
def test_what_is_put_in_comes_out(pieces, seed):
    choose = random.Random(seed)
    queue = OutputQueue(10)
    got = {OUT: b"", ERR: b""}

    def take_some():
        code = choose.choice([OUT, ERR])
        buffer = bytearray(choose.randrange(8))
        got[code] += bytes(buffer[: queue.take_into(code, memoryview(buffer))])
        if choose.random() < 0.5 and (first := queue.first()) is not None:
            got[first] += queue.take(first)

    for code, data in pieces:
        queue.put(code, memoryview(data))
        take_some()
    while (first := queue.first()) is not None:
        got[first] += queue.take(first)
    assert queue.size == 0
    assert got == {code: b"".join(data for each, data in pieces if each is code) for code in got}


def test_the_order_of_both_streams():
    queue = OutputQueue(10)
    for code, data in [(OUT, b"1"), (ERR, b"23"), (OUT, b"4"), (ERR, b"5")]:
        queue.put(code, memoryview(data))
    queue.take_into(ERR, memoryview(bytearray(1)))  # the rest keeps its place
    assert [(code, bytes(queue.take(code))) for code in iter(queue.first, None)] == [
        (OUT, b"1"),
        (ERR, b"3"),
        (OUT, b"4"),
        (ERR, b"5"),
    ]


def test_pause_and_resume_are_due_in_turns():
    queue = OutputQueue(10 + 2 * PIECE_COST)
    assert not queue.put(OUT, memoryview(bytes(10)))
    assert not queue.resume_due()
    assert queue.put(ERR, memoryview(bytes(1)))
    assert not queue.put(ERR, memoryview(bytes(100)))
    queue.take(OUT)
    assert not queue.resume_due()
    queue.drop(ERR)
    assert queue.resume_due()
    assert not queue.resume_due()
    assert not queue.put(ERR, memoryview(bytes(100)))
    assert queue.size == 0


@pytest.mark.parametrize("code", [OUT, ERR])
def test_first_of_one_stream(code):
    queue = OutputQueue(10)
    assert queue.first(code) is None
    queue.put(code, memoryview(b"x"))
    queue.put(code, memoryview(b""))
    assert queue.first(code) is code
    assert queue.first({OUT: ERR, ERR: OUT}[code]) is None


def test_what_it_holds_is_bounded_also_in_single_bytes():
    queue = OutputQueue(OUTPUT_LIMIT)
    tracemalloc.start()
    try:
        while not queue.put(OUT, memoryview(b"_x")[1:]):
            pass
        assert tracemalloc.get_traced_memory()[0] < 1.2 * OUTPUT_LIMIT
    finally:
        tracemalloc.stop()


def test_reading_stops_above_the_limit_and_goes_on_below_half_of_it():
    queue = OutputQueue(OUTPUT_LIMIT)
    piece = memoryview(bytes(1024 * 1024))
    while not queue.overfull:
        queue.put(OUT, piece)
    assert UNREAD_LIMIT < queue.size <= UNREAD_LIMIT + len(piece) + PIECE_COST
    while not queue.relieved():
        assert queue.overfull
        queue.take(OUT)
    assert UNREAD_LIMIT // 2 - len(piece) - PIECE_COST < queue.size <= UNREAD_LIMIT // 2
    assert not queue.overfull
    assert not queue.relieved()
