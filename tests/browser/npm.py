"""What checks the page, from npm: TypeScript, Biome and axe-core as they are locked, installed once per checkout."""

import shutil
import subprocess

from tests.conftest import ROOT

PAGE = ROOT / "dockerexec_ws/page"
_FOLDER = ROOT / ".node/page"
_LOCKED = ("package.json", "package-lock.json")


class MissingError(Exception):
    """There is no node or no npm."""


def install_packages():
    """Return the folder with the packages, node_modules. Raises MissingError; RuntimeError when npm fails."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise MissingError(f"there is no {program}: install Node.js with npm to have the page checked")
    wanted = "".join((PAGE / name).read_text() for name in _LOCKED)
    # Written last: an installation that was broken off is done over.
    stamp = _FOLDER / "stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        for name in _LOCKED:
            shutil.copy(PAGE / name, _FOLDER)
        options = ["--ignore-scripts", "--no-audit", "--no-fund"]
        npm = subprocess.run(["npm", "ci", *options], cwd=_FOLDER, capture_output=True, text=True)
        if npm.returncode:
            raise RuntimeError(f"npm ci failed with {npm.returncode}:\n{npm.stdout}{npm.stderr}")
        stamp.write_text(wanted)
    return _FOLDER / "node_modules"
