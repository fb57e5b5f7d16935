"""``connect``: the streams of a process, its terminal, and the flow control of a side that is too fast."""

import io
import shutil
import subprocess
import threading
import time

from dockerexec_ws.client import connect
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.protocol.events import Stream
from tests.client.support import DATA, opened, raises


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
        copier = threading.Thread(target=_feed, args=(process, io.BytesIO(DATA)))
        copier.start()
        out = io.BytesIO()
        shutil.copyfileobj(process.stdout, out)
        copier.join()
        assert out.getvalue() == DATA
        assert io.TextIOWrapper(process.stderr).read() == "end\n"
        assert process.wait() == 4


def _feed(process, file):
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
        time.sleep(0.5)  # the engine does not report when it has resized the terminal
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
    made = opened(url, ["sh", "-c", f"head -c {size} /dev/zero; exit 9"])
    with made.process as process:
        time.sleep(1)  # much longer than the process would take without flow control
        kept = made.session.unread
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
