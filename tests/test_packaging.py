"""The sdist, and the wheel that is built from it."""

import email
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest

import dockerexec_ws
from tests.sources import copy_sources, run, source_names, without_npm

ROOT = pathlib.Path(__file__).parent.parent
LIBRARIES = "dockerexec_ws/page/vendor/"
COMPRESSED = "dockerexec_ws/page/compressed/"

needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="there is no npm: install Node.js with npm")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with only the files that git has or would add."""
    source = tmp_path_factory.mktemp("source")
    copy_sources(source)
    return source


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    """The folder with the sdist, and the wheel that build makes from the sdist."""
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
    # The package's requirements are installed here already. Paths from a .pth file come last, and .pth files in those
    # paths are not read. So the editable installation that runs this test is out of reach.
    fresh = pathlib.Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (fresh / "requirements.pth").write_text("\n".join(paths) + "\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """The folder of the unpacked sdist."""
    (path,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(path) as sdist:
        sdist.extractall(folder, filter="data")
    return folder / f"dockerexec_ws-{dockerexec_ws.__version__}"


def test_the_sdist_has_all_sources(unpacked):
    for name in source_names():
        if name != "setup.cfg":  # setuptools adds a section
            assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes()
        assert os.access(unpacked / name, os.X_OK) == os.access(ROOT / name, os.X_OK)


def test_the_tests_of_an_unpacked_sdist_run(unpacked):
    # A file for each need: nothing, data, an engine.
    files = ["tests/protocol/test_versions.py", "tests/protocol/test_vectors.py", "tests/engine/test_run.py"]
    said = run(sys.executable, "-m", "pytest", "-q", *files, cwd=unpacked)
    assert " passed" in said
    program = "import dockerexec_ws, tests.sources; print(dockerexec_ws.__file__, len(tests.sources.source_names()))"
    path, count = run(sys.executable, "-c", program, cwd=unpacked).split()
    assert pathlib.Path(path).is_relative_to(unpacked)
    assert int(count) >= len(source_names())  # without git


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def own_files(source):
    """The source files that belong in a wheel."""
    package = source / "dockerexec_ws"
    paths = [*package.rglob("*.py"), *package.rglob("*.sh"), package / "py.typed", *(package / "page").glob("*")]
    return {path.relative_to(source).as_posix() for path in paths if path.suffix != ".json"}


def test_the_wheel_has_every_module_the_page_the_script_and_the_type_marker(wheel, source):
    expected = own_files(source)
    assert {"dockerexec_ws/page/index.html", "dockerexec_ws/page/page.js", "dockerexec_ws/page/page.css"} <= expected
    assert "dockerexec_ws/engine/kill/kill.sh" in expected
    assert {name for name in files_of(wheel) if not name.startswith((LIBRARIES, COMPRESSED))} == expected


@needs_npm
def test_the_wheel_has_the_locked_libraries_of_the_page_each_with_its_licence(wheel):
    packages = json.loads((ROOT / "dockerexec_ws/page/package.json").read_text())["dependencies"]
    names = {name.rpartition("/")[2] for name in packages}
    files = {f"{name}{suffix}" for name in names for suffix in (".mjs", ".LICENSE")}
    found = {name: without_hash(name) for name in files_of(wheel) if name.startswith(LIBRARIES)}
    assert sorted(found.values()) == sorted(LIBRARIES + name for name in files | {"xterm.css"})
    with zipfile.ZipFile(wheel) as archive:
        for name in names:
            (module,) = (path for path, plain in found.items() if plain == f"{LIBRARIES}{name}.mjs")
            assert b"export{" in archive.read(module)
            assert b"Permission is hereby granted" in archive.read(f"{LIBRARIES}{name}.LICENSE")


def without_hash(name):
    return re.sub(r"\.[0-9a-f]{8}(\.m?js|\.css)$", r"\1", name)


@needs_npm
def test_a_first_visit_of_the_page_is_small(wheel):
    """Each file that a browser loads is in the wheel in two compressed forms, which a server sends as they are."""
    with zipfile.ZipFile(wheel) as archive:
        page = {name: archive.read(name) for name in archive.namelist() if "/page/" in name}
    loaded = [data for name, data in page.items() if name.endswith((".js", ".mjs", ".css", ".svg"))]
    for suffix, unfold in ((".br", None), (".gz", gzip.decompress)):
        forms = [page.pop(f"{COMPRESSED}{hashlib.sha256(data).hexdigest()[:32]}{suffix}") for data in loaded]
        if unfold is not None:
            assert [unfold(form) for form in forms] == loaded
        assert sum(map(len, forms)) + len(page["dockerexec_ws/page/index.html"]) < 200_000
    assert not [name for name in page if name.startswith(COMPRESSED)]  # for no other file


def test_the_sdist_has_what_the_page_is_built_of_and_not_the_result(built, source):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        found = {name.partition("/")[2] for name in sdist.getnames() if "/dockerexec_ws/page/" in name}
    wanted = {"index.html", "page.js", "page.css", "package.json", "package-lock.json"}
    assert {f"dockerexec_ws/page/{name}" for name in wanted} <= found
    assert not [name for name in found if name.startswith((LIBRARIES, COMPRESSED))]


def test_the_libraries_are_locked_to_one_content_each_and_to_no_registry():
    lock = json.loads((ROOT / "dockerexec_ws/page/package-lock.json").read_text())
    named = json.loads((ROOT / "dockerexec_ws/page/package.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert len(packages) >= len(named["dependencies"])
    for path, package in packages.items():
        assert package["integrity"].startswith("sha512-"), path
        assert "resolved" not in package, path  # the user's own registry is used
    for kind in ("dependencies", "devDependencies"):
        assert lock["packages"][""][kind] == named[kind]


def test_without_npm_all_but_the_page_is_built_which_is_said(source, tmp_path):
    # Leftovers of a former build must not get in.
    for folder in (LIBRARIES, COMPRESSED):
        stale = source / "build/lib" / folder
        stale.mkdir(parents=True, exist_ok=True)
        (stale / "stale.mjs").touch()
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, "."]
    said = run(*command, cwd=source, PATH=without_npm(tmp_path / "bin"))
    assert "the browser page is left out, and everything else works: npm was not found; install" in said
    (wheel,) = tmp_path.glob("*.whl")
    assert files_of(wheel) == own_files(source)


@pytest.mark.parametrize("npm", ["echo no registry; exit 1", "exec sleep 1000"])
def test_an_npm_that_fails_or_hangs_holds_nothing_up(source, tmp_path, npm):
    copy = shutil.copytree(source, tmp_path / "source", ignore=shutil.ignore_patterns("build"))
    setup = (copy / "setup.py").read_text()
    assert "\nTIMEOUT = 300" in setup
    (copy / "setup.py").write_text(setup.replace("\nTIMEOUT = 300", "\nTIMEOUT = 0.5"))
    (tmp_path / "npm").write_text(f"#!/bin/sh\n{npm}\n")
    (tmp_path / "npm").chmod(0o755)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, "."]
    said = run(*command, cwd=copy, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "the browser page is left out, and everything else works: npm could not install its libraries" in said
    assert ("no registry" in said) == ("no registry" in npm)
    (wheel,) = tmp_path.glob("*.whl")
    assert files_of(wheel) == own_files(source)


@needs_npm
def test_an_editable_installation_has_the_libraries_in_the_sources(source, tmp_path):
    python = tmp_path / "venv/bin/python"
    venv.create(tmp_path / "venv", symlinks=True)
    stale = source / LIBRARIES
    stale.mkdir()
    (stale / "stale.mjs").touch()
    try:
        run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--editable", ".", cwd=source)
        names = {without_hash(path.name) for path in stale.iterdir()}
        assert {"xterm.mjs", "xterm.css", "xterm.LICENSE"} <= names
        assert "stale.mjs" not in names
        run("git", "init", "-q", cwd=source)  # an unpacked sdist is no repository
        listed = run("git", "check-ignore", LIBRARIES + "xterm.mjs", cwd=source)
        assert listed.strip() == LIBRARIES + "xterm.mjs"
    finally:
        shutil.rmtree(stale)
        shutil.rmtree(source / COMPRESSED, ignore_errors=True)


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
    program = "import dockerexec_ws.web.app as module; print(module.__file__)"
    path = pathlib.Path(run(bin_folder / "python", "-c", program, cwd=bin_folder).strip())
    assert path.is_relative_to(bin_folder.parent)


def test_both_commands_tell_the_same_version(bin_folder):
    script = run(bin_folder / "dockerexec-ws", "--version", cwd=bin_folder)
    module = run(bin_folder / "python", "-m", "dockerexec_ws", "--version", cwd=bin_folder)
    assert script == module
    assert script.strip() == f"dockerexec-ws, version {dockerexec_ws.__version__}"


def test_the_clients_command_tells_it_as_well(bin_folder):
    script = run(bin_folder / "dockerexec-ws-client", "--version", cwd=bin_folder)
    assert script.strip() == f"dockerexec-ws-client, version {dockerexec_ws.__version__}"
