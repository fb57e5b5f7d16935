"""A program leaves a process: it closes or forgets it, is interrupted, or forks. Nothing is left behind."""

import gc
import os
import signal
import sys
import threading
import time
import warnings
from unittest import mock

from dockerexec_ws.client import ConnectionLost, connect, run
from dockerexec_ws.client.connection import Connection
from dockerexec_ws.client.output_queue import OutputQueue
from dockerexec_ws.client.session import Session
from dockerexec_ws.client.streams import feed_soon
from dockerexec_ws.client.transport import Transport
from tests.client.support import DATA, opened, raises, reading


def closing_ends_the_process(url):
    process = connect(url, ["sleep", "1000"])
    process.close()
    process.close()
    assert process.returncode is None
    with connect(url, ["sleep", "1000"]) as process:
        process.close()
    assert process.stdin.closed
    assert process.stdout.closed


def an_exception_ends_the_process(url):
    with raises(KeyError), connect(url, ["sh", "-c", "cat /dev/zero"]):
        raise KeyError


def leaving_waits_for_the_process(url):
    with connect(url, ["sh", "-c", "cat >/tmp/scenario; echo unread; exit 6"]) as process:
        process.stdin.write(b"all of it")
    assert process.returncode == 6
    assert run(url, ["cat", "/tmp/scenario"], capture_output=True).stdout == b"all of it"


def what_is_forgotten_is_ended_with_a_warning(url):
    with reading() as threads:
        process = connect(url, ["sleep", "1000"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del process
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == [
        "the process ['sleep', '1000'] was neither waited for nor closed, and is ended"
    ]
    threads[0].join(10)
    assert not threads[0].is_alive()


def what_is_forgotten_is_ended_also_where_warnings_are_errors(url):
    with reading() as threads:
        process = connect(url, ["sleep", "1000"])
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del process
    finally:
        sys.unraisablehook = hook
    threads[0].join(10)
    assert not threads[0].is_alive()


def an_interrupted_close_ends_the_process(url):
    with reading() as threads:
        process = connect(url, ["sleep", "1000"])
    with mock.patch.object(OutputQueue, "drop", side_effect=KeyboardInterrupt), raises(KeyboardInterrupt):
        process.close()
    threads[0].join(10)
    assert not threads[0].is_alive()
    process.close()


def an_interrupted_connect_leaves_nothing(url):
    started = []

    def start(thread):
        started.append(thread)
        start_thread(thread)
        raise KeyboardInterrupt

    start_thread = threading.Thread.start
    with mock.patch("threading.Thread.start", start), raises(KeyboardInterrupt):
        connect(url, ["sleep", "1000"])
    started[0].join(10)
    assert not started[0].is_alive()


def what_is_interrupted_twice_is_ended(url):
    """A second Ctrl-C may come in the finalizer, or in the cleanup of an interrupted start."""
    with reading() as threads:
        made = opened(url, ["sleep", "1000"])
        feeder = feed_soon(made.process.stdin, DATA)  # keeps the session
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with mock.patch.object(Session, "abandon", side_effect=KeyboardInterrupt):
            del made
    finally:
        sys.unraisablehook = hook
    with (
        reading() as more,
        mock.patch.object(Session, "wait_until_ready", side_effect=KeyboardInterrupt),
        mock.patch.object(Connection, "cut", side_effect=KeyboardInterrupt),
        raises(KeyboardInterrupt) as caught,
    ):
        connect(url, ["sleep", "1000"])
    caught.clear()  # its traceback has the session
    for thread in (*threads, *more, feeder):
        thread.join(10)
        assert not thread.is_alive()


def without_a_thread_no_socket_is_left_open(url):
    with (
        mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")),
        mock.patch.object(Transport, "close", autospec=True, side_effect=Transport.close) as close,
        raises(RuntimeError),
    ):
        connect(url, ["sleep", "1000"])
    close.assert_called_once()


def an_interrupted_write_sends_nothing_twice(url):
    made = opened(url, ["cat"])
    process = made.process
    process.stdin.write(b"once\n")
    lock = mock.MagicMock()
    lock.__enter__.side_effect = KeyboardInterrupt, None
    with mock.patch.object(made.connection, "write_lock", lock), raises(KeyboardInterrupt):
        process.stdin.flush()  # stdin keeps the data, because no write was confirmed
    with raises(ConnectionLost):
        process.communicate()
    process.close()


def what_is_forgotten_in_its_own_writing_thread_is_ended(url):
    """The garbage collector may do this at any moment, in any thread."""
    with reading() as threads:
        made = opened(url, ["sleep", "1000"])
    process, connection = made.process, made.connection
    process.keeps_itself = process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process.stdin.write(b"not flushed")
        with connection.write_lock:
            del made, process
            signal.alarm(20)
            gc.collect()
            signal.alarm(0)
    threads[0].join(10)
    assert not threads[0].is_alive()


def a_fork_leaves_the_session_to_its_parent(url):
    made = opened(url, ["cat"])
    process = made.process
    process.stdin.write(b"once\n")  # both processes keep it until it is flushed
    with made.connection.lock:  # another thread may hold the lock at that moment
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        del made, process
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert process.communicate(b"only\n") == (b"once\nonly\n", b"")
    process.close()


def no_thread_is_left(url):
    before = threading.active_count()
    for _ in range(5):
        run(url, ["echo"], capture_output=True)
        connect(url, ["cat"]).close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
