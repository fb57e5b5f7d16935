"""The Python client against this server: in this program, patched by gevent, and in one with plain threads."""

import os
import subprocess
import sys

import pytest

from tests.client.scenarios import SCENARIOS
from tests.conftest import ROOT

each_scenario = pytest.mark.parametrize("name", SCENARIOS)


@each_scenario
def test_under_gevent(name, server):
    SCENARIOS[name](server.url)


@each_scenario
def test_with_threads(name, server):
    # Coverage is off, because it would import gevent.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    command = [sys.executable, "-m", "tests.client.scenarios", name, server.url]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
