"""The project's sources without what a checkout has besides, and commands that build and install them."""

import os
import shutil
import subprocess

from tests.conftest import ROOT

SDIST_LIST = ROOT / "dockerexec_ws.egg-info/SOURCES.txt"


def run(*command, cwd, **changes):
    """Run a command with *changes* of the environment; return its output."""
    # PYTHONPATH would lead to the checkout. Coverage is off, because pip and build are not measured.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("COVERAGE_")
    }
    command = [str(word) for word in command]
    done = subprocess.run(
        command, cwd=cwd, env=environment | changes, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def source_names():
    """Return the names of the files that git has or would add, or of those of an unpacked sdist."""
    if not (ROOT / ".git").exists():
        return [name for name in SDIST_LIST.read_text().splitlines() if "egg-info" not in name]
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    # git may still list a deleted file.
    return [name for name in listed.split("\0") if name and (ROOT / name).exists()]


def copy_sources(target):
    """Copy the project's files to the folder *target*."""
    for name in source_names():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)


def without_npm(folder):
    """A PATH without npm."""
    folder.mkdir()
    for program in ("sh", "git"):
        (folder / program).symlink_to(shutil.which(program))
    return str(folder)
