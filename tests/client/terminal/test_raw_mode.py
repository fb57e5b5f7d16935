"""The terminal's mode is restored exactly once, even if the client fails."""

import os
import pty
import subprocess
import termios
import tty

import pytest

from dockerexec_ws.client.terminal.raw_mode import Terminal
from tests.client.terminal.commands import CLIENT, environment

COUNTING = """
import os, sys, termios
set_mode = termios.tcsetattr
def note(descriptor, when, mode):
    with open({notes!r}, "a") as notes:
        notes.write("restored " if mode[3] & termios.ICANON else "raw ")
    set_mode(descriptor, when, mode)
termios.tcsetattr = note
import dockerexec_ws.client.terminal.relay as relay, dockerexec_ws.client.__main__ as main
{fault}
main.main()
"""


@pytest.mark.parametrize(
    ("fault", "argv", "status"),
    [
        ("", ["sh", "-c", "exit 3"], 3),
        ("", ["sh", "-c", "kill -9 $$"], 137),
        ("relay.Relay.start = lambda _: 1 / 0", ["true"], 125),
        ("relay.Relay._write = lambda *_: 1 / 0", ["echo", "x"], 125),
        ("relay.Relay._read_keys = lambda *_: 1 / 0", ["cat"], 125),
        ("relay.Relay.start = lambda _: os.kill(os.getpid(), 15)", ["cat"], -15),
    ],
)
def test_the_terminal_is_restored_exactly_once(server, tmp_path, fault, argv, status):
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    program = COUNTING.format(fault=fault, notes=str(tmp_path / "notes"))
    with subprocess.Popen(
        [CLIENT[0], "-c", program, server.url, "--", *argv],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    ) as client:
        errors = client.stderr.read()
        assert client.wait() == status
    assert termios.tcgetattr(theirs) == before
    os.close(theirs)
    os.close(ours)
    assert (tmp_path / "notes").read_text() == "raw restored "
    assert (b"ZeroDivisionError" in errors) is ("1 / 0" in fault)


def test_a_terminal_that_was_never_raw_is_left_alone(monkeypatch):
    monkeypatch.setattr(termios, "tcsetattr", None)
    Terminal(0).restore()


def test_a_terminal_that_was_restored_is_left_alone():
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    terminal = Terminal(theirs)
    terminal.make_raw()
    terminal.restore()
    assert termios.tcgetattr(theirs) == before
    tty.setraw(theirs)  # by now another program uses the terminal
    raw = termios.tcgetattr(theirs)
    terminal.restore()
    assert termios.tcgetattr(theirs) == raw
    os.close(theirs)
    os.close(ours)


def test_a_terminal_that_is_gone_by_then():
    ours, theirs = pty.openpty()
    terminal = Terminal(theirs)
    terminal.make_raw()
    os.close(ours)
    terminal.restore()
    os.close(theirs)
