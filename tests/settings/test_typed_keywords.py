"""The options as keywords: a type checker finds misspelled options and wrong types."""

import subprocess
import sys

import pytest

from dockerexec_ws.settings.schema import OPTIONS, LogSettings, OneContainerSettings
from dockerexec_ws.settings.settings import ServerSettings, Settings, names_of
from tests.conftest import ROOT

PROGRAM = """\
from collections.abc import Callable
from dockerexec_ws import DockerExecServer, create_app, mount
from dockerexec_ws.web.app import App

class Mine(DockerExecServer):
    def __init__(self) -> None:
        super().__init__("c", max_sessions=3)

def run(theirs: Callable[..., list[bytes]]) -> list[object]:
    server: DockerExecServer = DockerExecServer("c", port=0, listener=None, token_file="tokens")
    app: App = create_app(container_id="c", max_sessions=3, authenticators=[lambda environ: None])
    return [server, app, create_app(allow_container=["web"]), mount(theirs, "c", path="shell"), Mine().url]

"""


def mypy(program):
    """Return mypy's errors for a file, without their positions."""
    options = ["--strict", "--hide-error-codes", "--no-error-summary", "--ignore-missing-imports"]
    command = [sys.executable, "-m", "mypy", "--config-file=", *options, program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55)
    assert done.stderr == ""
    return [line.partition(" error: ")[2] for line in done.stdout.splitlines() if " error: " in line]


MISTAKES = """\
create_app("c", max_sesions=3)
create_app("c", max_sessions="3")
create_app("c", port=80)
DockerExecServer("c", max_sesions=3)
DockerExecServer("c", port="80")
mount(create_app("c"), "c", max_sessions="3")
"""


def test_a_type_checker_knows_the_options(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + MISTAKES)
    assert mypy(program) == [
        'Unexpected keyword argument "max_sesions" for "create_app"; did you mean "max_sessions"?',
        'Argument "max_sessions" to "create_app" has incompatible type "str"; expected "int"',
        'Unexpected keyword argument "port" for "create_app"',
        'Unexpected keyword argument "max_sesions" for "DockerExecServer"; did you mean "max_sessions"?',
        'Argument "port" to "DockerExecServer" has incompatible type "str"; expected "int"',
        'Argument "max_sessions" to "mount" has incompatible type "str"; expected "int"',
    ]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_each_option_but_those_of_the_command_is_a_keyword(option):
    of_the_command = {*names_of(LogSettings), *names_of(OneContainerSettings)}
    assert (option.name in names_of(ServerSettings)) == (option.name not in of_the_command)


def test_an_application_has_all_keywords_but_the_listeners():
    assert set(names_of(ServerSettings)) - set(names_of(Settings)) == {
        *("listener", "host", "port", "handshake_timeout", "max_request_line", "certfile", "keyfile", "client_ca")
    }
