"""A session's progress as told by the server's messages, without a connection."""

import logging

import pytest
from websockets.frames import Close

from dockerexec_ws.client.progress import Progress, State
from dockerexec_ws.errors import ConnectionLost, EngineError, ServerShutdown, SessionRefused
from dockerexec_ws.protocol.events import (
    Error,
    Malformed,
    Output,
    Pause,
    Resume,
    Shutdown,
    Stopped,
    Stream,
    Unknown,
)

LIMIT = 1000


def told(*events):
    progress = Progress(LIMIT)
    for event in events:
        progress.take(event)
    return progress


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], State.OPENING),
        ([Pause()], State.OPENING),
        ([Error("no")], State.OPENING),
        ([Resume()], State.RUNNING),
        ([Resume(), Pause(), Error("x"), Shutdown(), Unknown(7)], State.RUNNING),
        ([Stopped(0)], State.EXITED),
        ([Resume(), Stopped(3)], State.EXITED),
        ([Malformed("x")], State.REFUSED),
        ([Resume(), Malformed("x")], State.FAILED),
    ],
)
def test_what_the_server_says_moves_the_state(events, state):
    progress = told(*events)
    assert progress.state is state
    assert progress.over is (state in (State.EXITED, State.FAILED, State.REFUSED))


@pytest.mark.parametrize(
    ("end", "state"),
    [([Stopped(3)], State.EXITED), ([Resume(), Malformed("x")], State.FAILED), ([Malformed("x")], State.REFUSED)],
)
@pytest.mark.parametrize("late", [Resume(), Stopped(4), Malformed("y"), Shutdown()])
def test_the_first_end_is_final(end, state, late):
    progress = told(*end)
    before = progress.exit_code
    progress.take(late)
    progress.disconnected(None, None)
    assert (progress.state, progress.exit_code) == (state, before)
    if state is State.EXITED:
        assert progress.outcome() == 3
    else:
        with pytest.raises(ConnectionLost, match="the server broke the protocol: x"):
            progress.outcome()


def test_an_exit_code_is_known_only_after_it_came():
    assert told(Resume()).exit_code is None
    assert told(Resume(), Stopped(0)).exit_code == 0


@pytest.mark.parametrize(
    ("events", "may_write"),
    [
        ([], False),
        ([Resume()], True),
        ([Resume(), Pause()], False),
        ([Resume(), Pause(), Pause(), Resume()], True),  # pauses are not counted
        ([Pause(), Resume()], True),
        ([Resume(), Stopped(0)], False),
    ],
)
def test_when_stdin_may_be_sent(events, may_write):
    assert told(*events).may_write is may_write


def test_output_above_the_limit_is_answered_with_one_pause():
    progress = told(Resume())
    answers = [progress.take(Output(Stream.STDOUT, memoryview(bytes(100)))) for _ in range(5)]
    assert answers == [None, None, Pause(), None, None]


@pytest.mark.parametrize(
    ("events", "close", "broken", "kind", "text"),
    [
        ([Resume()], None, None, ConnectionLost, "the connection was lost"),
        ([Resume(), Shutdown()], None, None, ServerShutdown, "shut down"),
        ([Resume()], Close(1001, ""), None, ServerShutdown, "shut down"),
        ([Resume(), Error("why")], Close(1011, ""), None, EngineError, "^why$"),
        ([Resume(), Error("why")], None, None, ConnectionLost, "the connection was lost"),
        ([Error("why")], None, None, SessionRefused, "^why$"),
        ([Resume()], None, ValueError("masked"), ConnectionLost, "the server broke the protocol: masked"),
    ],
)
def test_a_session_whose_connection_ends_fails_with_what_is_known(events, close, broken, kind, text):
    progress = told(*events)
    progress.disconnected(close, broken)
    with pytest.raises(kind, match=text):
        progress.outcome()
    assert progress.exit_code is None


def test_the_servers_words_are_logged_once_and_only_of_a_process_that_ran(caplog):
    with caplog.at_level(logging.WARNING):
        told(Error("early"), Resume(), Error("cannot resize"), Error("cannot resize"), Error("stdin is closed"))
    assert [record.getMessage() for record in caplog.records] == [
        "the server says: cannot resize",
        "the server says: stdin is closed",
    ]
