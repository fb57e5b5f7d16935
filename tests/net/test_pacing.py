"""When a stream is read again: only after other sockets had their turn, and after a delay while it is busy."""

import socket
import time

import gevent
import pytest

from dockerexec_ws.net.pacing import ENOUGH, GATHER, Pacer, take_turn


def turns_until_a_socket_is_seen(give_way):
    """Count how often a greenlet gives way before another one gets a byte that is already at its socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = gevent.spawn(ours.recv, 1)
        gevent.idle()
        theirs.send(b"x")
        for turn in range(10**6):
            if reader.ready():
                return turn
            give_way()
    raise AssertionError("never")


def test_sockets_are_looked_at_in_each_turn():
    assert turns_until_a_socket_is_seen(lambda: gevent.sleep(0)) > 10, "take_turn is no longer needed"
    assert turns_until_a_socket_is_seen(take_turn) <= 2


def test_many_take_a_turn_at_a_time():
    order = []

    def run(name):
        for _ in range(3):
            take_turn()
            order.append(name)

    gevent.joinall([gevent.spawn(run, name) for name in "ab"], raise_error=True)
    assert sorted(order[:2]) == sorted(order[2:4]) == sorted(order[4:]) == ["a", "b"]


@pytest.mark.parametrize(
    ("seconds", "size", "gathers"),
    [
        (0.001, 8192, True),
        (0.001, 1, False),  # this may be the echo of a keystroke
        (0.001, ENOUGH, False),
        (0.1, 8192, False),
    ],
)
def test_only_a_busy_stream_gathers(seconds, size, gathers):
    """*seconds* pass between two reads; the first one brought *size* bytes."""
    clock = iter([100.0, 100.0 + seconds])
    pacer = Pacer(lambda: next(clock))
    pacer.gathers(0)
    assert pacer.gathers(size) is gathers


def test_output_gathers_for_a_moment():
    still = Pacer(lambda: 100.0)
    still.wait(0)
    begin = time.monotonic_ns()
    still.wait(8192)
    assert time.monotonic_ns() - begin >= GATHER
