"""The sdist, and the wheel that is built from it."""

import email
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest

import dockerexec_ws

ROOT = pathlib.Path(__file__).parent.parent


def run(*command, cwd):
    # Without what would lead to the checkout, and without coverage: pip and build are not what is measured.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("COVERAGE_")
    }
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist, made from what git has or would add, and the wheel that build makes from the sdist."""
    source = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():  # or it is deleted and git has not been told yet
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    target = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--outdir", target, ".", cwd=source)
    return target


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory):
    """The bin folder of a fresh virtual environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel, cwd=folder)
    # What the package requires is here already. Paths from a .pth file come last, and .pth files there are not read: so
    # the editable installation that runs this test is out of reach.
    fresh = pathlib.Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (fresh / "requirements.pth").write_text("\n".join(paths) + "\n")
    return folder / "bin"


def test_the_sdist_has_what_a_reader_looks_for(built):
    (path,) = built.glob("*.tar.gz")
    top = f"dockerexec_ws-{dockerexec_ws.__version__}"
    with tarfile.open(path) as sdist:
        for name in ["LICENSE", "README.rst", "CHANGELOG.rst"]:
            packed = sdist.extractfile(f"{top}/{name}")
            assert packed.read() == (ROOT / name).read_bytes()


def test_the_wheel_has_every_module_and_the_type_marker(wheel):
    package = ROOT / "dockerexec_ws"
    expected = {path.relative_to(ROOT).as_posix() for path in [*package.rglob("*.py"), package / "py.typed"]}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == expected


def test_the_metadata(wheel):
    dist_info = f"dockerexec_ws-{dockerexec_ws.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(f"{dist_info}/METADATA"))
        licence = archive.read(f"{dist_info}/licenses/LICENSE")
    assert metadata["Name"] == "dockerexec-ws"
    assert metadata["Version"] == dockerexec_ws.__version__
    assert "MPL-2.0" in (metadata["License"], metadata["License-Expression"])  # newer setuptools may write the second
    assert licence.startswith(b"Mozilla Public License Version 2.0")


def test_the_wheel_alone_is_what_runs(bin_folder):
    program = "import dockerexec_ws.server.app as module; print(module.__file__)"
    path = pathlib.Path(run(bin_folder / "python", "-c", program, cwd=bin_folder).strip())
    assert path.is_relative_to(bin_folder.parent)


def test_both_commands_tell_the_same_version(bin_folder):
    script = run(bin_folder / "dockerexec-ws", "--version", cwd=bin_folder)
    module = run(bin_folder / "python", "-m", "dockerexec_ws", "--version", cwd=bin_folder)
    assert script == module
    assert script.strip() == f"dockerexec-ws, version {dockerexec_ws.__version__}"
