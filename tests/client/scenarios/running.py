"""``run``: what it captures, checks, and raises."""

import contextlib
import hashlib
import os
import subprocess

from dockerexec_ws.client import SessionRefused, connect, run
from dockerexec_ws.errors import SettingsError
from tests.client.support import DATA, raises


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
def _another_stdout():
    kept = os.dup(1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def gives_up_in_time_where_stdout_takes_nothing(url):
    reader, writer = os.pipe()
    with open(reader), _another_stdout():
        os.dup2(writer, 1)
        os.close(writer)
        os.set_blocking(1, False)  # nothing could end a blocking write, not even this test
        with raises(subprocess.TimeoutExpired):
            run(url, ["cat", "/dev/zero"], timeout=2)


def writes_no_output_to_its_own_connection(url):
    with _another_stdout():
        os.close(1)
        with raises(OSError, "Bad file descriptor"):
            run(url, ["echo", "out"])


def refuses_in_the_servers_words(url):
    with raises(SessionRefused, "no command was given"):
        run(url, [])
    with raises(SessionRefused, "user: not allowed"):
        run(url, ["id"], user="daemon")
    with raises(SessionRefused, "There is nothing at this path. Check the URL."):
        run(url + "y", ["true"])


def says_what_is_no_url(url):
    for bad in ("", "localhost:8080/x", "ftp://127.0.0.1/", "ws://", "ws://127.0.0.1:port/"):
        with raises(SettingsError):
            connect(bad, ["true"])
    with raises(SettingsError, "not one string"):
        connect(url, "true")
