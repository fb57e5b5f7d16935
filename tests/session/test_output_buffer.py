"""The buffer between the engine and the peer: it is bounded, keeps the order, joins small parts and can be held."""

import gevent

from dockerexec_ws.protocol.events import Stream
from dockerexec_ws.protocol.flow import FlowControl
from dockerexec_ws.session.output_buffer import JOIN, PIECE_OVERHEAD, OutputBuffer


def test_pieces_of_a_byte_count_what_they_weigh():
    output = OutputBuffer(FlowControl(), limit=10 * (PIECE_OVERHEAD + 1))
    for number in range(10):
        assert output.room == (9 - number) * (PIECE_OVERHEAD + 1) + 1
        output.put((Stream.STDOUT, Stream.STDERR)[number % 2], [b"x"])
    assert output.room == 0
    assert output.take() == (Stream.STDOUT, [b"x"])
    assert output.room == 0, "what is being sent is still held"
    assert output.take() == (Stream.STDERR, [b"x"])
    assert output.room == 1


def test_adjacent_pieces_of_one_stream_are_joined_up_to_a_bound():
    output = OutputBuffer(FlowControl(), limit=PIECE_OVERHEAD + 1)
    for stream, data in [(1, b"a"), (1, b"b"), (2, b"c"), (1, bytes(JOIN)), (1, b"d")]:
        output.put(Stream(stream), [data])
    taken = []
    while (piece := output.take()) is not None:
        taken.append((piece[0], sum(map(len, piece[1]))))
    assert taken == [(Stream.STDOUT, 2), (Stream.STDERR, 1), (Stream.STDOUT, JOIN), (Stream.STDOUT, 1)]
    assert output.room == 1


def test_room_is_waited_for_and_told():
    output = OutputBuffer(FlowControl(), limit=PIECE_OVERHEAD + 1)
    output.put(Stream.STDOUT, [b"x"])
    assert not output.wait_for_room(0.01)
    waiter = gevent.spawn(output.wait_for_room, 10)
    gevent.idle()
    assert output.take() == (Stream.STDOUT, [b"x"])
    assert not waiter.ready()
    assert output.take() is None
    assert waiter.get(timeout=10)


def test_what_is_held_is_taken_when_the_flow_changes_and_given_up_at_an_abort():
    flow = FlowControl()
    output = OutputBuffer(flow, limit=1000)
    flow.peer_paused()
    output.put(Stream.STDOUT, [b"x"])
    taker = gevent.spawn(output.take)
    gevent.idle()
    assert not taker.ready()
    flow.peer_resumed()
    output.flow_changed()
    assert taker.get(timeout=10) == (Stream.STDOUT, [b"x"])
    output.put(Stream.STDOUT, [b"y"])
    output.abort()
    assert output.take() is None
