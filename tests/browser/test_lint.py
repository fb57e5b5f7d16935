"""Check the types (JSDoc) and the form of the page's scripts and styles, as mypy and ruff do for the Python code."""

import pathlib
import re
import shutil
import subprocess

import pytest

import dockerexec_ws
from tests.npm import MissingError, install_packages

pytestmark = pytest.mark.lint

PAGE = pathlib.Path(dockerexec_ws.__file__).parent / "page"


@pytest.fixture(scope="module")
def packages():
    """The folder with the checkers, and with the libraries' types."""
    try:
        return install_packages(PAGE)
    except MissingError as error:
        pytest.skip(str(error))


def check(packages, program, *arguments, cwd):
    """Run a checker; it must find nothing."""
    done = subprocess.run(
        [packages / ".bin" / program, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture
def sources(packages, tmp_path):
    """A copy of the page's sources, with declarations for the libraries, which come without any."""
    copy = shutil.copytree(PAGE, tmp_path / "page", ignore=shutil.ignore_patterns("vendor", "compressed"))
    (copy / "node_modules").symlink_to(packages)
    (copy / "vendor").mkdir()
    imported = re.findall(r'"\./(vendor/([\w-]+)\.\w+)\.mjs"', (copy / "terminal.js").read_text())
    for path, name in imported:
        (copy / f"{path}.d.mts").write_text(f'export * from "@xterm/{name}";\n')
    (copy / "vendor/xterm.d.mts").write_text('export * from "@xterm/xterm";\n')
    return copy


def test_types(packages, sources):
    check(packages, "tsc", cwd=sources)


def test_a_wrong_type_is_found(packages, sources):
    """The checker also knows the types of the libraries."""
    wrong = 'import { Terminal } from "./vendor/xterm.mjs";\nnew Terminal().resize("80", 24);\n'
    (sources / "wrong.js").write_text(wrong)
    with pytest.raises(AssertionError, match=r"wrong\.js.*TS2345"):
        check(packages, "tsc", cwd=sources)


def test_form(packages):
    check(packages, "biome", "ci", "--colors=off", "--error-on-warnings", cwd=PAGE)
