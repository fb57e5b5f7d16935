"""Run the command line in a separate process, as a user does."""

import contextlib
import os
import subprocess
import sys

from tests.conftest import ROOT, uncovered


def command(*arguments, inherited, **environment):
    kept = {name: value for name, value in inherited.items() if not name.startswith("DOCKER")}
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
    return subprocess.run(**command(*arguments, inherited=uncovered(), **environment), timeout=30)


def running(*arguments, **environment):
    """Run a server process; yield it and its URL."""
    return _running(command(*arguments, inherited=uncovered(), **environment))


def covered_run(*arguments, **environment):
    """Like ``run``, with coverage."""
    return subprocess.run(**command(*arguments, inherited=os.environ, **environment), timeout=30)


def covered_running(*arguments, **environment):
    """Like ``running``, with coverage."""
    return _running(command(*arguments, inherited=os.environ, **environment))


@contextlib.contextmanager
def _running(options):
    with subprocess.Popen(**options) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(("listening on ws://", "listening on wss://")), process.stderr.read()
            yield process, line.removeprefix("listening on ").strip()
        finally:
            process.kill()
