"""What setup.cfg cannot say: the libraries of the browser page, which npm fetches when the package is built."""

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
    user_options = []  # noqa: RUF012  # as setuptools has it
    editable_mode = False  # setuptools sets it, for `pip install --editable`

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
        shutil.rmtree(target, ignore_errors=True)  # what a former build left may be of other versions
        # Not in the source folder, which may be read-only, and in which nothing but the result is wanted.
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in LOCKED:
                shutil.copy(PAGE / file, folder)
            if fault := _install(folder):
                self.warn(f"the browser page is left out, all else works: {fault}")
                return
            target.mkdir(parents=True)
            for package in json.loads((PAGE / "package.json").read_text())["dependencies"]:
                _copy(folder / "node_modules" / package, target)

    def _target(self):
        return (Path() if self.editable_mode else Path(self.build_lib)) / PAGE / "vendor"


def _install(folder):
    """Install the locked packages in *folder*; returns what went wrong, if anything."""
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm; install Node.js with npm, then the package again"
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
    """Copy what a browser loads of *package*, each file with the licence that goes with it."""
    name = package.name
    shutil.copy(package / "lib" / f"{name}.mjs", target)
    shutil.copy(package / "LICENSE", target / f"{name}.LICENSE")
    for style in package.glob("css/*.css"):
        shutil.copy(style, target)


class Build(build):
    sub_commands = [*build.sub_commands, ("build_page", None)]  # noqa: RUF012  # as setuptools has it


setup(cmdclass={"build": Build, "build_page": BuildPage})
