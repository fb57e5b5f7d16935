"""Packages from npm that tests need, installed once per checkout."""

import fcntl
import pathlib
import shutil
import subprocess

_FOLDER = pathlib.Path(__file__).parent.parent / ".node"


class MissingError(Exception):
    """There is no node or no npm."""


def install_packages(source):
    """Install the packages of the package.json in the folder *source*, at the versions of its lock file if it has one.

    Returns the folder with the packages. Raises MissingError, or RuntimeError if npm fails.
    """
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise MissingError(f"there is no {program}: install Node.js with npm, from which these tests have packages")
    _FOLDER.mkdir(exist_ok=True)
    with (_FOLDER / f"{source.name}.lock").open("w") as lock:  # several test processes may need the packages at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install(source)


def _install(source):
    files = [source / "package.json", *source.glob("package-lock.json")]
    folder = _FOLDER / source.name
    # Written last, so that an interrupted installation is repeated.
    stamp = folder / "stamp"
    wanted = "".join(file.read_text() for file in files)
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        for file in files:
            shutil.copy(file, folder)
        command = ["npm", "ci"] if len(files) == 2 else ["npm", "install", "--no-package-lock"]
        command += ["--ignore-scripts", "--no-audit", "--no-fund"]
        npm = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if npm.returncode:
            raise RuntimeError(f"{' '.join(command)} failed with {npm.returncode}:\n{npm.stdout}{npm.stderr}")
        stamp.write_text(wanted)
    return folder / "node_modules"
