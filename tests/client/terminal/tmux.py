"""A real terminal: tmux, with a shell in it."""

import os
import secrets
import shlex
import shutil
import subprocess

import pytest

from tests.client.terminal.commands import CLIENT, environment
from tests.conftest import wait_until

PROMPT = "local> "


class Screen:
    """A window of 80 by 24 in a separate tmux, with bash at its prompt; ``$client`` is the client."""

    def __init__(self, **variables):
        if not shutil.which("tmux"):
            pytest.skip("there is no tmux: install tmux")
        self._name = f"dockerexec-ws-{secrets.token_hex(4)}"
        shell = ["env", f"PS1={PROMPT}", "bash", "--noprofile", "--norc", "-i"]
        variables = {"client": shlex.join(CLIENT), "LC_ALL": "C.UTF-8", "HISTFILE": ""} | variables
        self._environment = environment(**variables)
        self._tmux("new-session", "-d", "-x", "80", "-y", "24", shlex.join(shell))
        self.wait_for_prompt()

    def close(self):
        """Close the window, and end everything that runs in it."""
        self._tmux("kill-server")

    def keys(self, *names):
        """Press keys, given by tmux's names."""
        self._tmux("send-keys", *names)

    def type(self, text):
        """Type *text*."""
        self._tmux("send-keys", "-l", "--", text)

    def paste(self, file):
        """Paste a file's text."""
        self._tmux("load-buffer", file)
        self._tmux("paste-buffer", "-d")

    def enter(self, line):
        """Type a line."""
        self.type(line)
        self.keys("Enter")

    def resize(self, rows, columns):
        """Resize the window."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def lines(self):
        """The lines that the window shows, without the empty ones at the end."""
        return self._tmux("capture-pane", "-p").rstrip("\n").split("\n")

    def wait_for(self, text):
        """Wait until a line of the window contains *text*, and return that line."""
        try:
            return wait_until(lambda: next((line for line in self.lines() if text in line), None))
        except AssertionError as error:
            raise AssertionError("\n".join([f"no {text!r}:", *self.lines()])) from error

    def wait_for_line(self, *lines):
        """Wait until the window ends with these lines."""
        try:
            wait_until(lambda: self.lines()[-len(lines) :] == list(lines))
        except AssertionError as error:
            raise AssertionError("\n".join([f"no {lines!r}:", *self.lines()])) from error

    def wait_for_prompt(self):
        """Wait until the shell waits for a command."""
        try:
            wait_until(lambda: self.lines()[-1].endswith(PROMPT.strip()))
        except AssertionError as error:
            raise AssertionError("\n".join(["no prompt:", *self.lines()])) from error

    def result(self, command):
        """Run a command in the shell that prints one line, and return that line."""
        self.keys("C-l")
        wait_until(lambda: self.lines() == [PROMPT.strip()])
        self.enter(command)
        wait_until(lambda: len(self.lines()) >= 3 and self.lines()[-1] == PROMPT.strip())
        return self.lines()[-2]

    def mode(self):
        """The mode of the terminal while the shell runs a command."""
        return self.result("stty -g | md5sum")

    def flags(self):
        """The modes that programs switch: cursor, alternate screen, mouse, keypad and cursor keys, margins."""
        names = "cursor_flag alternate_on mouse_any_flag keypad_flag keypad_cursor_flag"
        text = " ".join(f"#{{{name}}}" for name in [*names.split(), "scroll_region_upper", "scroll_region_lower"])
        return self._tmux("display-message", "-p", text).strip()

    def clients(self):
        """The pids of the clients that the shell has started."""
        parent = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        with open(f"/proc/{parent}/task/{parent}/children") as children:
            return [int(pid) for pid in children.read().split()]

    def _tmux(self, *words):
        # A separate socket and no configuration. -u, because the exact bytes must not depend on the locale.
        done = subprocess.run(
            ["tmux", "-u", "-f", os.devnull, "-L", self._name, *words],
            env=self._environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
