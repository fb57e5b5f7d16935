"""Builds the browser page when the package is built. The rest is in setup.cfg.

npm fetches the page's libraries, and Node.js compresses all files of the page.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from setuptools import Command, setup
from setuptools.command.build import build

PAGE = Path("dockerexec_ws/page")
LOCKED = ("package.json", "package-lock.json")
COMPRESSED = {".css", ".js", ".mjs", ".svg"}
TIMEOUT = 300  # seconds

# Reads pairs of paths, of a file and of what its compressed forms are called but for their suffixes.
COMPRESS = """
const { readFileSync, writeFileSync } = require("node:fs");
const { brotliCompressSync, gzipSync } = require("node:zlib");
for (const [from, to] of JSON.parse(readFileSync(0))) {
  const data = readFileSync(from);
  writeFileSync(`${to}.br`, brotliCompressSync(data));
  writeFileSync(`${to}.gz`, gzipSync(data, { level: 9 }));
}
"""


class BuildPage(Command):
    description = "fetch the libraries of the browser page with npm, and compress its files"
    user_options = []  # noqa: RUF012  # setuptools defines it as a list
    editable_mode = False  # setuptools sets it to True for `pip install --editable`

    def initialize_options(self):
        self.build_lib = None

    def finalize_options(self):
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def get_source_files(self):  # for the sdist
        return [str(PAGE / name) for name in LOCKED]

    def get_outputs(self):
        return [str(path) for folder in self._targets() for path in folder.glob("*")]

    def get_output_mapping(self):
        return {}

    def run(self):
        libraries, compressed = targets = self._targets()
        for target in targets:
            shutil.rmtree(target, ignore_errors=True)  # an earlier build may have left other versions
        # Not in the source folder: it may be read-only, and only the result belongs there.
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in LOCKED:
                shutil.copy(PAGE / file, folder)
            if fault := _install(folder):
                self.warn(f"the browser page is left out, and everything else works: {fault}")
                return
            libraries.mkdir(parents=True)
            for package in json.loads((PAGE / "package.json").read_text())["dependencies"]:
                _copy(folder / "node_modules" / package, libraries)
        compressed.mkdir(parents=True)
        if fault := _compress([*PAGE.iterdir(), *libraries.iterdir()], compressed):
            self.warn(f"the browser page will be sent uncompressed: {fault}")

    def _targets(self):
        page = (Path() if self.editable_mode else Path(self.build_lib)) / PAGE
        return page / "vendor", page / "compressed"


def _install(folder):
    """Install the locked packages in *folder*. Return the fault, or None."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm was not found; install Node.js with npm, then this package again"
    command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    fault = _run(command, cwd=folder)
    return fault and f"npm could not install its libraries: {fault}"


def _compress(files, target):
    """Compress *files* into *target*, under names made of their contents. Return the fault, or None.

    So a file that was changed since has no compressed form, instead of an old one.
    """
    pairs = [(str(file), str(target / _digest(file))) for file in files if file.suffix in COMPRESSED]
    fault = _run(["node", "--eval", COMPRESS], stdin=json.dumps(pairs))
    return fault and f"Node.js failed: {fault}"


def _run(command, stdin="", cwd=None):
    """Run *command*. Return what it printed if it failed, or None."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return f"\n{done.stdout}" if done.returncode else None


def _copy(package, target):
    """Copy the files of *package* that a browser loads, with their hashes in their names, and its licence."""
    name = package.name
    for file in [package / "lib" / f"{name}.mjs", *package.glob("css/*.css")]:
        shutil.copy(file, target / f"{file.stem}.{_digest(file)[:8]}{file.suffix}")
    shutil.copy(package / "LICENSE", target / f"{name}.LICENSE")


def _digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()[:32]


class Build(build):
    sub_commands = [*build.sub_commands, ("build_page", None)]  # noqa: RUF012  # setuptools defines it as a list


setup(cmdclass={"build": Build, "build_page": BuildPage})
