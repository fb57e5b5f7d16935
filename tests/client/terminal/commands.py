"""Run the client's command line as a process."""

import os
import shlex
import subprocess
import sys

from tests.conftest import ROOT

CLIENT = [sys.executable, "-m", "dockerexec_ws.client"]
OWN_FAILURE = 125


def environment(**variables):
    """The environment of this test run, without variables that the client would take as settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER")}
    return kept | {"PYTHONPATH": str(ROOT)} | variables


def start(*words, env=None, **options):
    """A running client; its three streams are pipes unless *options* say otherwise."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([*CLIENT, *words], env=environment(**env or {}), **pipes | options)


def run(*words, input=b"", env=None, **options):  # noqa: A002
    """Run a client to its end."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    if "stdin" not in options:
        options["input"] = input
    return subprocess.run([*CLIENT, *words], env=environment(**env or {}), timeout=40, **options)


def one_line(text):
    """The text of the client's failure, which is one line on stderr."""
    name, colon, rest = text.decode().partition(": ")
    assert (name, colon) == ("dockerexec-ws-client", ": "), text
    assert rest.count("\n") == 1, text
    assert rest.endswith("\n"), text
    return rest.removesuffix("\n")


def shell(script, **variables):
    """Run *script*, in which $client is the client, with bash."""
    env = environment(client=shlex.join(CLIENT), **variables)
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, timeout=40)
