"""The original, from npm, and the node processes that run it."""

import contextlib
import json
import os
import pathlib
import subprocess

import pytest

from tests.conftest import running_container
from tests.npm import MissingError, install_packages

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def npm_packages():
    """The folder with the original's packages."""
    try:
        return install_packages(HERE)
    except MissingError as error:
        pytest.skip(str(error))


class Node:
    """A running script of this folder; it takes options as JSON and reports events as JSON lines."""

    def __init__(self, process):
        self.process = process

    def tell(self, **message):
        """Send the script one line."""
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def event(self):
        """Return the script's next event; the script must not have ended."""
        line = self.process.stdout.readline()
        assert line, f"the script ended with {self.process.wait()}"
        return json.loads(line)

    def events(self):
        """Return all further events, until the script ends."""
        return [json.loads(line) for line in self.process.stdout]


@pytest.fixture
def run_node(npm_packages):
    """A function that starts a script of this folder; scripts that still run at the end are killed."""
    with contextlib.ExitStack() as stack:

        def start(script, **options):
            process = subprocess.Popen(
                ["node", HERE / script, json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"NODE_PATH": str(npm_packages)},
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Node(process)

        yield start


@pytest.fixture(scope="session")
def original_container(docker_api):
    """A container for the original, which leaves processes behind."""
    with running_container(docker_api) as name:
        yield name
