"""The rules of flow control. Only sizes in bytes are passed around."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dockerexec_ws.protocol.flow import FlowControl

MIB = 1024 * 1024

# Sizes around every limit of both sides; 16 MiB is the message limit.
SIZES = [0, 1, 1000, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB - 1]
sizes = st.sampled_from(SIZES) | st.integers(1, 16 * MIB - 1)


@settings(deadline=None)
@given(st.lists(st.tuples(sizes, st.integers(1, 16 * MIB)), max_size=12))
def test_100_and_101_come_when_due(rounds):
    """Each round receives one message and takes up to a number of bytes. At the end all bytes are taken."""
    flow = FlowControl()
    pending = since_resume = 0
    stalled = False

    def take(size):
        nonlocal pending, since_resume, stalled
        pending -= size
        since_resume += size
        if flow.stdin_taken(size):
            stalled, since_resume = False, 0
        assert stalled or since_resume < 4 * MIB

    for received, taken in rounds:
        pending += received
        if flow.stdin_received(received):
            assert not stalled, "a second 101 before the 100"
            stalled = True
        assert flow.stdin_stalled == stalled
        assert flow.stdin_pending == pending
        # Otherwise a client that does not wait for the 100 could fill memory without a bound.
        assert stalled or pending <= 4 * MIB
        take(min(taken, pending))
    take(pending)
    assert not stalled


def test_a_101_is_lifted_when_little_is_left():
    flow = FlowControl()
    assert flow.stdin_received(8 * MIB + 1)
    assert not flow.stdin_taken(6 * MIB)
    assert flow.stdin_stalled
    assert flow.stdin_taken(2 * MIB)
    assert not flow.stdin_stalled


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_pauses_are_not_counted(resumes):
    flow = FlowControl()
    assert not flow.output_held
    for resume in resumes:
        if resume:
            flow.peer_resumed()
        else:
            flow.peer_paused()
        assert flow.output_held != resume


def test_output_is_not_held_while_stdin_is_stalled():
    flow = FlowControl()
    flow.peer_paused()
    assert flow.output_held
    assert flow.stdin_received(16 * MIB)
    assert not flow.output_held
    flow.peer_paused()  # another pause changes nothing
    assert not flow.output_held
    assert flow.stdin_taken(16 * MIB)
    assert flow.output_held
    flow.peer_resumed()
    assert not flow.output_held


def test_a_100_during_the_stall_counts_after_it():
    flow = FlowControl()
    flow.peer_paused()
    flow.stdin_received(16 * MIB)
    flow.peer_resumed()
    flow.stdin_taken(16 * MIB)
    assert not flow.output_held
