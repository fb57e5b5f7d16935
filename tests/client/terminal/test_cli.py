"""The command line of the terminal client by itself: help, completion, and the modules that it loads."""

import os
import re
import subprocess

import pytest

from dockerexec_ws import __version__
from tests.client.terminal.commands import CLIENT, environment, run, shell
from tests.conftest import ROOT


def test_help_is_grouped_and_fits_without_a_terminal():
    done = subprocess.run([*CLIENT, "--help"], env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Command:", "Connection:", "Terminal:", "Other options:"]
    assert max(map(len, lines)) <= 120
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_what_needs_no_session_loads_no_more_than_it_needs(words):
    program = (
        "import os, sys\n"
        "os._exit = lambda status: print(*sys.modules, file=sys.stderr)\n"
        "import dockerexec_ws.client.__main__ as main\n"
        "main.main()"
    )
    done = subprocess.run(
        [CLIENT[0], "-c", program, *words], env=without_coverage(), capture_output=True, text=True, check=True
    )
    assert not {"gevent", "docker", "ssl", "websockets", "requests"} & set(done.stderr.split())


def test_a_session_loads_neither_gevent_nor_docker(server):
    program = (
        "import os, sys\n"
        "os._exit = lambda status: print(*sys.modules, file=sys.stderr)\n"
        "import dockerexec_ws.client.__main__ as main\n"
        "main.main()"
    )
    done = subprocess.run([CLIENT[0], "-c", program, server.url, "true"], env=without_coverage(), capture_output=True)
    loaded = set(done.stderr.decode().split())
    assert "websockets" in loaded
    assert not {"gevent", "docker", "requests", "geventwebsocket"} & loaded


def without_coverage():
    """The environment without coverage, which imports gevent."""
    return {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}


def test_the_command_in_bin(server):
    script = ROOT / "bin/dockerexec-ws-client"
    done = subprocess.run([script, server.url, "echo", "hi"], env=environment(), capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == (b"hi\n", b"", 0)
    version = subprocess.run([script, "--version"], env=environment(), capture_output=True, text=True, cwd="/")
    assert version.stdout == f"dockerexec-ws-client, version {__version__}\n"


def test_completion_in_a_real_bash():
    command = os.path.join(os.path.dirname(CLIENT[0]), "dockerexec-ws-client")
    script = """
        source <("$command" --completion bash)
        COMP_WORDS=(dockerexec-ws-client --tok) COMP_CWORD=1
        complete -p dockerexec-ws-client
        _dockerexec_ws_client_completion "$command"
        echo "${COMPREPLY[@]}"
    """
    done = shell(script, command=command)
    assert done.stderr == b""
    first, second = done.stdout.decode().splitlines()
    assert re.fullmatch(r"complete .*-F _dockerexec_ws_client_completion dockerexec-ws-client", first)
    assert second == "--token-file"


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_completion_of_other_shells_is_printed(name):
    done = run("--completion", name)
    assert b"_DOCKEREXEC_WS_CLIENT_COMPLETE=" + name.encode() + b"_complete" in done.stdout
    assert (done.stderr, done.returncode) == (b"", 0)
