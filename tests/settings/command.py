"""The command line in a process of its own, as a user runs it."""

import contextlib
import os
import subprocess
import sys

from tests.conftest import ROOT


def command(*arguments, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER")}
    kept["DOCKEREXEC_WS_STATE_DIR"] = os.environ["DOCKEREXEC_WS_STATE_DIR"]
    return {
        "args": [sys.executable, "-m", "dockerexec_ws", *arguments],
        "env": kept | environment,
        "cwd": ROOT,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def run(*arguments, **environment):
    return subprocess.run(**command(*arguments, **environment), timeout=30)


@contextlib.contextmanager
def running(*arguments, **environment):
    """A server process; yields it and its URL."""
    with subprocess.Popen(**command(*arguments, **environment)) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(("listening on ws://", "listening on wss://")), process.stderr.read()
            yield process, line.removeprefix("listening on ").strip()
        finally:
            process.kill()
