"""Builds the browser page: npm fetches its libraries when the package is built. The rest is in setup.cfg."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from setuptools import Command, setup
from setuptools.command.build import build

PAGE = Path("dockerexec_ws/page")
LOCKED = ("package.json", "package-lock.json")
TIMEOUT = 300  # seconds


class BuildPage(Command):
    description = "fetch the libraries of the browser page with npm"
    user_options = []  # noqa: RUF012  # setuptools defines it as a list
    editable_mode = False  # setuptools sets it to True for `pip install --editable`

    def initialize_options(self):
        self.build_lib = None

    def finalize_options(self):
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def get_source_files(self):  # for the sdist
        return [str(PAGE / name) for name in LOCKED]

    def get_outputs(self):
        return [str(path) for path in self._target().glob("*")]

    def get_output_mapping(self):
        return {}

    def run(self):
        target = self._target()
        shutil.rmtree(target, ignore_errors=True)  # an earlier build may have left other versions
        # Not in the source folder: it may be read-only, and only the result belongs there.
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in LOCKED:
                shutil.copy(PAGE / file, folder)
            if fault := _install(folder):
                self.warn(f"the browser page is left out, and everything else works: {fault}")
                return
            target.mkdir(parents=True)
            for package in json.loads((PAGE / "package.json").read_text())["dependencies"]:
                _copy(folder / "node_modules" / package, target)

    def _target(self):
        return (Path() if self.editable_mode else Path(self.build_lib)) / PAGE / "vendor"


def _install(folder):
    """Install the locked packages in *folder*. Return the fault, or None."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm was not found; install Node.js with npm, then this package again"
    command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"npm could not install its libraries: {error}"
    return f"npm could not install its libraries:\n{done.stdout}" if done.returncode else None


def _copy(package, target):
    """Copy the files of *package* that a browser loads, and its licence."""
    name = package.name
    shutil.copy(package / "lib" / f"{name}.mjs", target)
    shutil.copy(package / "LICENSE", target / f"{name}.LICENSE")
    for style in package.glob("css/*.css"):
        shutil.copy(style, target)


class Build(build):
    sub_commands = [*build.sub_commands, ("build_page", None)]  # noqa: RUF012  # setuptools defines it as a list


setup(cmdclass={"build": Build, "build_page": BuildPage})
