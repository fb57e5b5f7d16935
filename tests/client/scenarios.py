"""What the client has to do, in a program that gevent has patched and in one that has never heard of it.

``python -m tests.client.scenarios NAME URL`` runs one in plain Python. Each gets the URL of a server.
"""

import contextlib
import gc
import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from unittest import mock

from dockerexec_ws.client import ConnectionLost, SessionRefused, connect, run
from dockerexec_ws.client.transport import Transport
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.protocol.events import Stream

DATA = random.Random(6).randbytes(20_000_003)


@contextlib.contextmanager
def raises(kind, match=""):
    caught = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    assert caught, f"no {kind.__name__}"
    assert match in str(caught[0]), caught[0]


def captures_both_streams_apart(url):
    done = run(url, ["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True)
    assert (done.args[0], done.returncode, done.stdout, done.stderr) == ("sh", 3, b"out\n", b"err\n")


def captures_text(url):
    words = ["printf", "%s|", "Grüße", "a b", "", "new\nline", "\r\n"]
    done = run(url, words, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("Grüße|a b||new\nline|\n|", "")


def checks_the_exit_code(url):
    with raises(subprocess.CalledProcessError, "non-zero exit status 5"):
        run(url, ["sh", "-c", "echo so far; exit 5"], check=True, capture_output=True)
    assert run(url, ["true"], check=True).returncode == 0


def tells_an_exit_code_above_127(url):
    assert run(url, ["sh", "-c", "kill -9 $$"]).returncode == 137


def has_no_stdin_unless_given(url):
    assert run(url, ["cat"], capture_output=True).stdout == b""
    assert run(url, ["cat"], input="ä", capture_output=True, text=True).stdout == "ä"


def moves_much_both_ways_at_once(url):
    done = run(url, ["sh", "-c", "tee /dev/stderr"], input=DATA, capture_output=True)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(DATA).digest()
    assert hashlib.sha256(done.stderr).digest() == hashlib.sha256(DATA).digest()


def gives_up_in_time_and_keeps_what_came(url):
    with raises(subprocess.TimeoutExpired):
        run(url, ["sleep", "1000"], timeout=0.5)
    with raises(subprocess.TimeoutExpired) as caught:
        run(url, ["sh", "-c", "echo so far; sleep 1000"], timeout=2, capture_output=True)
    assert (caught[0].output, caught[0].timeout) == (b"so far\n", 2)


@contextlib.contextmanager
def another_stdout():
    kept = os.dup(1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def gives_up_in_time_where_stdout_takes_nothing(url):
    reader, writer = os.pipe()
    with open(reader), another_stdout():
        os.dup2(writer, 1)
        os.close(writer)
        os.set_blocking(1, False)  # waiting in write could not be ended by anything, in this test either
        with raises(subprocess.TimeoutExpired):
            run(url, ["cat", "/dev/zero"], timeout=2)


def writes_no_output_to_its_own_connection(url):
    with another_stdout():
        os.close(1)
        with raises(OSError, "Bad file descriptor"):
            run(url, ["echo", "out"])


def refuses_in_the_servers_words(url):
    with raises(SessionRefused, "no command was given"):
        run(url, [])
    with raises(SessionRefused, "user: not allowed"):
        run(url, ["id"], user="daemon")
    with raises(SessionRefused, "There is nothing here."):
        run(url + "y", ["true"])


def says_what_is_no_url(url):
    for bad in ("", "localhost:8080/x", "ftp://127.0.0.1/", "ws://", "ws://127.0.0.1:port/"):
        with raises(SettingsError):
            connect(bad, ["true"])
    with raises(SettingsError, "not one string"):
        connect(url, "true")


def reads_lines_and_half_closes(url):
    with connect(url, ["cat"]) as process:
        process.stdin.write(b"one\ntwo\nthr")
        process.stdin.flush()
        assert [process.stdout.readline(), process.stdout.readline()] == [b"one\n", b"two\n"]
        assert process.poll() is None
        process.stdin.write(b"ee\n")
        process.stdin.close()
        assert list(process.stdout) == [b"three\n"]
        assert process.stderr.read() == b""
        assert process.wait(10) == 0
    assert process.returncode == 0


def is_like_a_file(url):
    with connect(url, ["sh", "-c", "cat; echo end >&2; exit 4"]) as process:
        copier = threading.Thread(target=feed, args=(process, io.BytesIO(DATA)))
        copier.start()
        out = io.BytesIO()
        shutil.copyfileobj(process.stdout, out)
        copier.join()
        assert out.getvalue() == DATA
        assert io.TextIOWrapper(process.stderr).read() == "end\n"
        assert process.wait() == 4


def feed(process, file):
    shutil.copyfileobj(file, process.stdin)
    process.stdin.close()


def reads_in_the_order_of_arrival(url):
    script = "for i in 1 2 3; do echo out $i; sleep 0.1; echo err $i >&2; sleep 0.1; done"
    with connect(url, ["sh", "-c", script]) as process:
        pieces = []
        while (got := process.receive()) is not None:
            pieces.append((got[0], bytes(got[1])))
    both = (Stream.STDOUT, "out"), (Stream.STDERR, "err")
    assert pieces == [(code, f"{name} {i}\n".encode()) for i in (1, 2, 3) for code, name in both]


def communicates_after_reading_and_after_a_timeout(url):
    with connect(url, ["sh", "-c", "echo one; echo two; cat; sleep 0.7; echo three"]) as process:
        assert process.stdout.readline() == b"one\n"
        with raises(subprocess.TimeoutExpired):
            process.communicate(b"input\n", timeout=0.3)
        assert process.communicate() == (b"two\ninput\nthree\n", b"")
        assert process.returncode == 0


def has_a_terminal(url):
    script = "read line; stty size; tty; read line; stty size; exit 7"
    with connect(url, ["sh", "-c", script], tty=True, size=(33, 77)) as process:
        process.stdin.write(b"\n")
        process.stdin.flush()
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[:2] == [b"\r\n", b"33 77\r\n"], lines
        assert lines[2].startswith(b"/dev/pts/")
        process.resize(44, 88)
        time.sleep(0.5)  # nothing tells when the engine has done it
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.read() == b"\r\n44 88\r\n"
        assert process.wait() == 7
    with connect(url, ["cat"]) as process, raises(SettingsError, "without a tty"):
        process.resize(1, 1)


def waits_with_a_timeout(url):
    with connect(url, ["cat"]) as process:
        with raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(10) == 0


def a_slow_reader_stops_the_process_and_loses_nothing(url):
    size = 200_000_000
    with connect(url, ["sh", "-c", f"head -c {size} /dev/zero; exit 9"]) as process:
        time.sleep(1)  # much longer than it would take without anything to stop it
        kept = process._session._output.size
        assert 0 < kept < 20_000_000, kept
        total = 0
        while piece := process.stdout.read1():
            total += len(piece)
        assert total == size
        assert process.wait() == 9


def a_process_that_reads_nothing_stops_the_writer(url):
    with connect(url, ["sh", "-c", "read go; sleep 1; wc -c"]) as process:
        process.stdin.write(b"go\n")
        process.stdin.flush()
        begin = time.monotonic()
        process.stdin.write(DATA)
        process.stdin.write(DATA)
        process.stdin.close()
        assert time.monotonic() - begin > 0.8
        assert int(process.stdout.read()) == 2 * len(DATA)


def stdin_of_a_process_that_has_exited_is_a_broken_pipe(url):
    with connect(url, ["sh", "-c", "exec head -c 3"]) as process:
        with raises(BrokenPipeError):
            for _ in range(1000):
                process.stdin.write(DATA)
        assert process.stdout.read() == DATA[:3]
        assert process.wait() == 0


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
    process = connect(url, ["sleep", "1000"])
    thread = process._session._thread
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del process
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == [
        "the process ['sleep', '1000'] was neither waited for nor closed, and is ended"
    ]
    thread.join(10)
    assert not thread.is_alive()


def what_is_forgotten_is_ended_also_where_warnings_are_errors(url):
    process = connect(url, ["sleep", "1000"])
    thread = process._session._thread
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del process
    finally:
        sys.unraisablehook = hook
    thread.join(10)
    assert not thread.is_alive()


def an_interrupted_close_ends_the_process(url):
    process = connect(url, ["sleep", "1000"])
    thread = process._session._thread
    with mock.patch.object(process._session._output, "drop", side_effect=KeyboardInterrupt), raises(KeyboardInterrupt):
        process.close()
    thread.join(10)
    assert not thread.is_alive()
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


def without_a_thread_no_socket_is_left_open(url):
    with (
        mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")),
        mock.patch.object(Transport, "close", autospec=True, side_effect=Transport.close) as close,
        raises(RuntimeError),
    ):
        connect(url, ["sleep", "1000"])
    close.assert_called_once()


def an_interrupted_write_sends_nothing_twice(url):
    process = connect(url, ["cat"])
    process.stdin.write(b"once\n")
    lock = mock.MagicMock()
    lock.__enter__.side_effect = KeyboardInterrupt, None
    with mock.patch.object(process._session, "_write_lock", lock), raises(KeyboardInterrupt):
        process.stdin.flush()  # it keeps what it was not told to have been written
    with raises(ConnectionLost):
        process.communicate()
    process.close()


def what_is_forgotten_in_its_own_writing_thread_is_ended(url):
    """As the garbage collector may do at any moment, in any thread."""
    process = connect(url, ["sleep", "1000"])
    session, process.keeps_itself = process._session, process
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process.stdin.write(b"not flushed")
        with session._write_lock:
            del process
            signal.alarm(20)
            gc.collect()
            signal.alarm(0)
    session._thread.join(10)
    assert not session._thread.is_alive()


def a_fork_leaves_the_session_to_its_parent(url):
    process = connect(url, ["cat"])
    process.stdin.write(b"once\n")  # kept, in both processes, until it is flushed
    with process._session._changed:  # as some thread may at that moment
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        del process
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


HELP = {"raises", "feed", "another_stdout"}
SCENARIOS = {
    name: scenario
    for name, scenario in globals().items()
    if callable(scenario) and getattr(scenario, "__module__", "") == __name__ and name not in HELP
}

if __name__ == "__main__":
    warnings.simplefilter("error")
    SCENARIOS[sys.argv[1]](sys.argv[2])
    assert "gevent" not in sys.modules
