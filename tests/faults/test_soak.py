"""The soak itself: it runs, and leaves nothing behind when it is interrupted."""

import os
import pathlib
import subprocess
import tempfile

import pytest

from tests.conftest import ROOT
from tests.private_engine import command_lines

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture
def folder():
    """The folder for everything that the soak creates. Its path is short, because socket paths are limited."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield pathlib.Path(name)


def soak(folder, minutes):
    return subprocess.Popen(
        [ROOT / "bin/soak", "--minutes", str(minutes), "--seed", "2"],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def assert_nothing_is_left(folder):
    assert list(folder.iterdir()) == []
    assert [line for line in command_lines().values() if str(folder) in line] == []
    assert str(folder) not in pathlib.Path("/proc/mounts").read_text()


def test_a_short_one(folder):
    with soak(folder, 0.01) as process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "nothing is left" in said
    assert_nothing_is_left(folder)


def test_interrupted(folder):
    with soak(folder, 5) as process:
        # The first line that it prints says that it has begun.
        assert process.stdout.readline() == "the soak begins\n"
        process.terminate()
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "interrupted" in said
    assert_nothing_is_left(folder)
