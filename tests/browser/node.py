"""Runs modules of the page in Node.js."""

import json
import shutil
import subprocess

import pytest

from tests.browser.conftest import PAGE


def node(script):
    """Run a script that can import from the page's folder; return the JSON that it prints."""
    if not shutil.which("node"):
        pytest.skip("there is no node: install Node.js to have the page checked")
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=PAGE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
