"""The original's packages, installed from npm once per checkout."""

import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).parent
_FOLDER = HERE.parent.parent / ".node"


class MissingError(Exception):
    """There is no node or no npm."""


def install_packages():
    """Return the folder with the packages that package.json names. Raises MissingError; RuntimeError when npm fails."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise MissingError(f"there is no {program}: install Node.js with npm to have the original to compare with")
    wanted = (HERE / "package.json").read_text()
    # Written last: an installation that was broken off is done over.
    stamp = _FOLDER / "stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        _FOLDER.mkdir(exist_ok=True)
        stamp.unlink(missing_ok=True)
        (_FOLDER / "package.json").write_text(wanted)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        npm = subprocess.run(["npm", "install", *options], cwd=_FOLDER, capture_output=True, text=True)
        if npm.returncode:
            raise RuntimeError(f"npm install failed with {npm.returncode}:\n{npm.stdout}{npm.stderr}")
        stamp.write_text(wanted)
    return _FOLDER / "node_modules"
