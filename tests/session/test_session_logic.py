"""A session's logic, from its start to its end, without an engine or a network."""

import gevent
import pytest

from dockerexec_ws.errors import EngineError, EngineTimeoutError
from dockerexec_ws.session.ending import Cause
from tests.conftest import wait_until
from tests.session.fakes import TARGET, FakeKiller
from tests.session.harness import ENDED, LEFT, MARKER, MAY_BE_LEFT, PAUSE, READY, STDIN_END, raising

# How bytes pass through


def test_a_session_that_ends_by_itself(make):
    harness = make(exit_code=3).ready()
    harness.channel.client_sends(b"\x00hello", STDIN_END)
    wait_until(lambda: harness.stream.stdin_ended)
    harness.stream.process_writes(b"out")
    harness.stream.process_writes(b"err", 2)
    harness.stream.process_exits()
    end = harness.end()
    assert harness.stream.stdin == b"hello"
    assert harness.channel.sent == [READY, b"\x01out", b"\x02err", b"\xc8\x03"]
    assert harness.channel.closed == (1000, None)
    assert (end.cause, end.exit_code, end.processes_left) == (Cause.EXITED, 3, LEFT)
    assert harness.killer.ended == []
    assert harness.stream.closed
    assert (harness.session.bytes_in, harness.session.bytes_out) == (5, 6)


def test_output_and_exit_code_wait_while_the_client_pauses(make):
    harness = make().ready()
    harness.channel.client_sends(PAUSE, b"\x03")
    wait_until(lambda: harness.session.ignored_messages == 1)
    harness.stream.process_writes(b"held")
    harness.stream.process_exits()
    wait_until(lambda: harness.session.exit_code == 0)
    assert harness.channel.sent == [READY]
    assert harness.session.end is None
    harness.channel.client_sends(READY)
    assert harness.end().cause is Cause.EXITED
    assert harness.channel.sent == [READY, b"\x01held", b"\xc8\x00"]


def test_many_small_messages_cost_what_they_weigh(make):
    """Empty messages take no memory, and one-byte messages take no object each."""
    harness = make().ready()
    harness.stream.reads.clear()
    harness.channel.client_sends(b"\0" + bytes(1_000_000), *[b"\0", b"\0x"] * 10_000, b"\x03")
    wait_until(lambda: harness.session.ignored_messages == 1)
    assert harness.session.stdin_waiting == 1_010_000
    harness.stream.reads.set()
    wait_until(lambda: harness.session.stdin_waiting == 0)
    assert harness.stream.stdin == bytes(1_000_000) + 10_000 * b"x"
    assert harness.stream.parts < 10


def test_complaints_do_not_end_a_session(make):
    harness = make(read_only=True).ready()
    harness.channel.client_sends(b"\x32\x18\x00\x50\x00", b"\x32", b"\x00x", b"\x00x", STDIN_END, STDIN_END)
    harness.channel.client_sends(b"\xff")
    wait_until(lambda: harness.session.ignored_messages == 1)
    texts = [message[1:].decode() for message in harness.channel.sent[1:]]
    assert {message[0] for message in harness.channel.sent[1:]} == {202}
    assert texts[0] == "cannot resize, not a tty instance"
    assert "resize message has 4 bytes" in texts[1]
    assert texts[2:] == ["stdin: not allowed, this session is read-only", "stdin is closed"]
    assert harness.session.end is None
    assert harness.stream.stdin == b""


def test_a_terminal_is_resized(make):
    harness = make(tty=True, size=(24, 80)).ready()
    assert harness.channel.holds_little
    assert harness.engine.options["size"] == (24, 80)
    harness.channel.client_sends(b"\x32\x1f\x00\x75\x00")
    wait_until(lambda: harness.engine.sizes == [(31, 117)])


# Endings


@pytest.mark.parametrize("on_disconnect", ["kill", "leave"])
@pytest.mark.parametrize("done", [True, False])
def test_a_client_that_goes(make, on_disconnect, done):
    harness = make(on_disconnect=on_disconnect, killer=FakeKiller(lambda: done)).ready()
    harness.channel.client_goes()
    end = harness.end()
    leave = on_disconnect == "leave"
    assert end.cause is Cause.PEER_GONE
    assert harness.channel.sent == [READY]
    assert harness.killer.ended == ([] if leave else [(TARGET.reference, MARKER)])
    assert end.processes_left is (LEFT if leave else not done)
    assert harness.stream.closed


def test_a_shutdown(make):
    harness = make().ready()
    harness.channel.client_sends(PAUSE, b"\x03")
    wait_until(lambda: harness.session.ignored_messages == 1)
    harness.stream.process_writes(b"this is dropped")
    harness.session.shutdown()
    end = harness.end()
    assert (end.cause, end.processes_left) == (Cause.SHUTDOWN, ENDED)
    assert harness.channel.sent == [READY, b"\xc9"]
    assert harness.channel.closed == (1001, 1.0)


def test_a_session_whose_greenlet_is_killed_shuts_down(make):
    harness = make().ready()
    harness.greenlet.kill()
    assert harness.session.end.cause is Cause.SHUTDOWN
    assert harness.channel.sent == [READY, b"\xc9"]
    assert harness.channel.closed == (1001, 1.0)
    assert harness.killer.ended == [(TARGET.reference, MARKER)]


def test_a_time_limit(make):
    harness = make(max_duration=0.1).ready()
    end = harness.end()
    assert (end.cause, end.exit_code, end.processes_left) == (Cause.TIME_LIMIT, None, ENDED)
    assert harness.channel.sent == [READY, b"\xcasession limit: it lasted 0.1 s"]
    assert harness.channel.closed == (1008, 1.0)


def test_a_time_limit_cuts_a_client_that_does_not_take_the_end(make):
    harness = make(max_duration=0.5).ready()
    harness.channel.stalled = True
    harness.stream.process_writes(b"never taken")
    harness.stream.breaks_off()
    end = harness.end()
    assert end.cause is Cause.FAILED
    assert harness.channel.sent == [READY, b"\xcathe connection to the engine broke off"]
    assert harness.channel.aborted


def test_output_limit_delivers_what_is_within_it(make):
    harness = make(max_output=4).ready()
    harness.stream.process_writes(b"too much")
    end = harness.end()
    assert (end.cause, end.close_code, end.processes_left) == (Cause.FAILED, 1008, ENDED)
    assert harness.channel.sent == [READY, b"\x01too ", b"\xcasession limit: 4 bytes of output"]
    assert harness.channel.closed == (1008, None)


def test_a_failure_delivers_the_output_to_a_slow_client(make):
    harness = make().ready()
    harness.channel.stalled = True
    harness.stream.process_writes(b"read already")
    harness.stream.breaks_off()
    wait_until(lambda: harness.session.end)
    gevent.sleep(0.05)
    assert harness.channel.closed is None
    harness.channel.client_reads()
    end = harness.end()
    assert (end.cause, end.exit_code) == (Cause.FAILED, None)
    assert harness.channel.sent == [READY, b"\xcathe connection to the engine broke off", b"\x01read already"]
    assert harness.channel.closed == (1011, None)


def test_the_exit_code_of_a_process_that_the_server_killed_is_not_told(make):
    """The last message is the 202, because the exit code comes from the server's own signal."""

    def end():
        harness.stream.process_exits()
        return wait_until(lambda: harness.session.exit_code == 137)

    harness = make(tty=True, exit_code=137, killer=FakeKiller(end)).ready()
    harness.engine.resize = raising(RuntimeError("a fault"))
    harness.channel.client_sends(b"\x32\x01\x00\x01\x00")
    assert harness.end().exit_code is None
    assert harness.channel.sent == [READY, b"\xcainternal error"]
    assert harness.channel.closed == (1011, None)


def test_a_fault_of_our_own_is_told_without_details(make, caplog):
    harness = make().ready()
    harness.stream.breaks_off(RuntimeError("a secret of the server's"))
    assert harness.end().cause is Cause.FAILED
    assert harness.channel.sent == [READY, b"\xcainternal error"]
    assert harness.channel.closed == (1011, None)
    assert "a secret of the server's" in caplog.text


def test_the_first_cause_wins(make):
    harness = make().ready()
    harness.session.shutdown()
    harness.channel.client_goes()
    harness.stream.breaks_off()
    assert harness.end().cause is Cause.SHUTDOWN


def test_the_stream_stays_open_until_the_processes_have_ended(make):
    released = gevent.event.Event()
    harness = make(killer=FakeKiller(released.wait)).ready()
    harness.channel.client_goes()
    wait_until(lambda: harness.killer.ended)
    gevent.sleep(0.05)
    assert not harness.stream.closed
    assert harness.session.end.processes_left is MAY_BE_LEFT
    released.set()
    assert harness.end().processes_left is ENDED
    assert harness.stream.closed


def test_a_fault_of_the_killer_is_not_taken_for_success(make):
    harness = make(killer=FakeKiller(lambda: 1 / 0)).ready()
    harness.channel.client_goes()
    assert harness.end().processes_left is MAY_BE_LEFT
    assert harness.stream.closed


# The start


def test_an_exec_that_the_engine_does_not_create(make):
    harness = make()
    harness.engine.create = raising(EngineError("container web is paused"))
    end = harness.start().end()
    assert harness.channel.sent == [b"\xcacontainer web is paused"]
    assert harness.channel.closed == (1011, None)
    assert (end.cause, end.processes_left) == (Cause.FAILED, ENDED)
    assert harness.killer.ended == []


def test_an_exec_that_may_have_started_all_the_same_is_ended(make):
    harness = make()
    harness.engine.start = raising(EngineTimeoutError("the Docker Engine did not answer"))
    end = harness.start().end()
    assert harness.channel.sent == [b"\xcathe Docker Engine did not answer"]
    assert harness.killer.ended == [(TARGET.reference, MARKER)]
    assert end.processes_left is ENDED


@pytest.mark.parametrize("step", ["create", "start"])
def test_nothing_follows_the_201_of_a_shutdown_during_the_start(make, step):
    harness = make()
    begun, released = gevent.event.Event(), gevent.event.Event()
    setattr(harness.engine, step, lambda: begun.set() or released.wait())
    harness.start()
    begun.wait(10)
    harness.session.shutdown()
    released.set()
    end = harness.end()
    assert harness.channel.sent == [b"\xc9"]
    assert (end.cause, end.processes_left) == (Cause.SHUTDOWN, ENDED)
    assert harness.killer.ended == [(TARGET.reference, MARKER)]


def test_a_fault_at_the_start_is_told_without_details(make, caplog):
    harness = make()
    harness.engine.create = raising(RuntimeError("a secret of the server's"))
    harness.start().end()
    assert harness.channel.sent == [b"\xcainternal error"]
    assert harness.channel.closed == (1011, None)
    assert "a secret of the server's" in caplog.text


def test_a_shutdown_says_nothing_after_another_end(make):
    harness = make().ready()
    harness.stream.breaks_off()
    wait_until(lambda: harness.session.end)
    harness.session.shutdown()
    assert harness.end().cause is Cause.FAILED
    assert b"\xc9" not in harness.channel.sent
