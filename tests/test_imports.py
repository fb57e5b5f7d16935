"""The imports keep the order of the three floors and the client; and the effects of importing the package."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

import dockerexec_ws

PACKAGE = pathlib.Path(dockerexec_ws.__file__).parent

# The floors, and the parts of the package that each may import.
FLOORS = {
    "errors": set(),
    "parser_logging": set(),
    "protocol": {"protocol"},
    "net": {"net", "errors"},
    "engine": {"protocol", "net", "engine", "errors"},
    "access": {"protocol", "engine", "settings", "access", "errors"},
    "settings": {"settings", "errors"},
    "session": {"protocol", "net", "engine", "access", "settings", "session", "errors"},
    "observe": {"protocol", "access", "session", "observe", "errors"},
    "web": {"protocol", "net", "engine", "access", "settings", "session", "observe", "web", "errors", "parser_logging"},
    "serve": {"net", "access", "settings", "session", "web", "serve", "errors"},
    "client": {"protocol", "client", "errors", "parser_logging"},
}
TOP = {"__init__", "__main__", "cli", "wsgi"}

# No I/O, no clock, no concurrency: a pure module's results depend only on its arguments.
PURE = {"codecs", "collections", "dataclasses", "enum", "itertools", "re", "string", "struct", "typing", "unicodedata"}
NOT_FOR_ENGINE = {"websockets", "geventwebsocket", "click"}


def name_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def imports_of(path, text):
    """Yield the absolute name of everything that the module imports, wherever the import is."""
    package = name_of(path).split(".")[:-1]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            source = [*start, *(node.module or "").split(".")]
            # "from dockerexec_ws import server" imports a module, so the imported names count too.
            yield from (".".join(filter(None, [*source, alias.name])) for alias in node.names)


def part_of(name):
    """The part of the package that *name* belongs to ("__init__" if it is not a module); None for foreign names."""
    package, _, rest = f"{name}.".partition(".")
    if package != "dockerexec_ws":
        return None
    part = rest.partition(".")[0]
    return part if (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file() else "__init__"


MODULES = {path: set(imports_of(path, path.read_text())) for path in sorted(PACKAGE.rglob("*.py"))}
each_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def modules_of(part):
    return [path for path in MODULES if part_of(name_of(path)) == part]


def test_every_part_has_its_place():
    assert {part_of(name_of(path)) for path in MODULES} == set(FLOORS) | TOP


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import gevent.pool", "gevent.pool"),
        ("def f():\n    import docker", "docker"),
        ("if TYPE_CHECKING:\n    from socket import socket", "socket.socket"),
        ("from dockerexec_ws import serve", "dockerexec_ws.serve"),
        ("from . import flow", "dockerexec_ws.protocol.flow"),
        ("from .flow import FlowControl", "dockerexec_ws.protocol.flow.FlowControl"),
        ("from ..web import app", "dockerexec_ws.web.app"),
        ("from .. import cli", "dockerexec_ws.cli"),
    ],
)
def test_every_form_of_import_is_seen(statement, name):
    assert list(imports_of(PACKAGE / "protocol" / "v1.py", statement)) == [name]


@pytest.mark.parametrize("part", FLOORS)
def test_imports_go_only_downward(part):
    for path in modules_of(part):
        ours = {part_of(name) for name in MODULES[path]} - {None}
        assert ours <= FLOORS[part], name_of(path)


def test_the_protocol_and_the_parser_of_the_scripts_report_are_pure():
    for path in [*modules_of("protocol"), PACKAGE / "engine/kill/report.py"]:
        foreign = {name.partition(".")[0] for name in MODULES[path] if part_of(name) is None}
        assert foreign <= PURE, name_of(path)


def test_the_assembler_is_pure():
    assert {name.partition(".")[0] for name in MODULES[PACKAGE / "net" / "assembler.py"]} <= PURE | {"websockets"}


def test_the_errors_import_nothing():
    for path in modules_of("errors"):
        assert not MODULES[path]


def test_the_engine_knows_no_websocket_and_no_command_line():
    for path in modules_of("engine"):
        assert not {name.partition(".")[0] for name in MODULES[path]} & NOT_FOR_ENGINE, name_of(path)


def test_the_client_needs_no_gevent_and_no_docker():
    modules = "dockerexec_ws.client.terminal.mainloop, dockerexec_ws.client.__main__"
    loaded = set(run_fresh(f"import sys, {modules}; print(*sys.modules, sep='\\n')").splitlines())
    assert "dockerexec_ws.client.session" in loaded
    assert not loaded & {
        "gevent",
        "docker",
        "requests",
        "geventwebsocket",
        "dockerexec_ws.engine",
        *(f"dockerexec_ws.{room}" for room in set(FLOORS) - FLOORS["client"]),
    }


@each_module
def test_only_the_ways_to_run_import_cli_and_wsgi(path):
    upward = {part_of(name) for name in MODULES[path]} & {"cli", "wsgi", "__main__"}
    allowed = {"__main__": {"cli"}}.get(part_of(name_of(path)), set())
    assert upward <= allowed


# What an import does


def run_fresh(program):
    """Run *program* in a Python without gevent's patches, and return what it prints."""
    # Coverage is off, because it would import gevent.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_neither_gevent_nor_docker():
    loaded = run_fresh("import sys, dockerexec_ws; print(*sys.modules, sep='\\n')").splitlines()
    assert "dockerexec_ws" in loaded
    assert not {"gevent", "docker", "requests", "websockets", "geventwebsocket"} & set(loaded)


# Importing __main__ patches, and importing wsgi makes its application, so these two are left out.
IMPORTABLE = [name_of(path).removesuffix(".__init__") for path in MODULES if path.stem not in {"__main__", "wsgi"}]
PATCHED = "from gevent import monkey; print(*filter(monkey.is_module_patched, ['socket', 'threading', 'time', 'ssl']))"


@pytest.mark.parametrize(
    "program",
    [
        "from dockerexec_ws import DockerExecServer",
        f"import {', '.join(IMPORTABLE)}",
        "from dockerexec_ws import *",
    ],
    ids=["the server", "every module", "every name"],
)
def test_importing_patches_nothing(program):
    assert run_fresh(f"{program}\n{PATCHED}").strip() == ""


def test_main_patches_before_anything_else_is_imported():
    program = """\
import gevent.monkey, sys
patch_all = gevent.monkey.patch_all
def loaded_at_patching(*args, **kwargs):
    print(*sys.modules.keys() & {"ssl", "requests", "docker", "websockets", "dockerexec_ws.cli"})
    patch_all(*args, **kwargs)
gevent.monkey.patch_all = loaded_at_patching
import dockerexec_ws.__main__
"""
    assert run_fresh(f"{program}\n{PATCHED}").splitlines() == ["", "socket threading time ssl"]


def test_starting_a_server_without_the_patches_says_what_to_do():
    program = """\
from dockerexec_ws import DockerExecServer, NotPatchedError
try:
    DockerExecServer("x").start()
except NotPatchedError as error:
    print(error)
"""
    assert "gevent.monkey.patch_all()" in run_fresh(program)


# What the package offers


@pytest.mark.parametrize("name", dockerexec_ws.__all__)
def test_every_public_name_is_there(name):
    assert getattr(dockerexec_ws, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'dockerexec_ws' has no attribute 'DockerExecClient'"):
        dockerexec_ws.DockerExecClient  # noqa: B018
