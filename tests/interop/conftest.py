"""The original, from npm, and the node processes that run it."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from tests.conftest import ROOT, running_container

HERE = pathlib.Path(__file__).parent
FOLDER = ROOT / ".node"


@pytest.fixture(scope="session")
def npm_packages():
    """The folder with the packages that package.json names, installed once per checkout."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            pytest.skip(f"there is no {program}: install Node.js with npm to test against the original")
    wanted = (HERE / "package.json").read_text()
    # Written last: an installation that was broken off is done over.
    stamp = FOLDER / "stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        FOLDER.mkdir(exist_ok=True)
        stamp.unlink(missing_ok=True)
        (FOLDER / "package.json").write_text(wanted)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        npm = subprocess.run(["npm", "install", *options], cwd=FOLDER, capture_output=True, text=True)
        if npm.returncode:
            pytest.fail(f"npm install failed with {npm.returncode}:\n{npm.stdout}{npm.stderr}", pytrace=False)
        stamp.write_text(wanted)
    return FOLDER / "node_modules"


class Node:
    """A running script of this folder; it takes its options as JSON and tells events as JSON lines."""

    def __init__(self, process):
        self.process = process

    def tell(self, **message):
        """Send the script one line."""
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def event(self):
        """The next event the script tells; it must not have ended."""
        line = self.process.stdout.readline()
        assert line, f"the script ended with {self.process.wait()}"
        return json.loads(line)

    def events(self):
        """All further events, until the script ends."""
        return [json.loads(line) for line in self.process.stdout]


@pytest.fixture
def run_node(npm_packages):
    """A function that starts a script of this folder; what still runs at the end is killed."""
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
