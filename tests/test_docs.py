"""The README and the manual: their links lead somewhere, and their samples run as they are written."""

import contextlib
import re
import select
import subprocess
import sys
import textwrap

import pytest

from tests.conftest import ROOT, TIMEOUT
from tests.peer import Peer

README = ROOT / "README.rst"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.rst"))]
URL = "ws://127.0.0.1:8080/x"


def samples(name):
    """The Python samples of a page, in order."""
    found = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", (ROOT / name).read_text(), re.MULTILINE)
    assert found
    return [textwrap.dedent(sample) for sample in found]


def commands(name, start):
    """The lines of a page's literal blocks that begin with *start*."""
    found = re.findall(rf"^    ({re.escape(start)}.*)$", (ROOT / name).read_text(), re.MULTILINE)
    assert found
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(page):
    text = page.read_text()
    for target in re.findall(r"<([\w./-]+)>`_|^\.\. image:: (\S+)", text, re.MULTILINE):
        assert (page.parent / "".join(target)).is_file(), target
    for path in re.findall(r"``((?:tests|bin|dockerexec_ws|docs)/[\w./-]*)", text):
        assert (ROOT / path).exists(), path


def test_the_readme_is_read_in_a_minute():
    assert len(README.read_text().splitlines()) <= 150


def run(arguments, **options):
    done = subprocess.run(
        arguments, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT / 2, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sample_of_the_python_client(server):
    (sample,) = samples("docs/clients.rst")
    assert sample.count(URL) == 2
    output = run([sys.executable, "-c", sample.replace(URL, server.url)])
    assert "usr" in output
    assert output.endswith("b'a\\n'\nb'b\\n'\n0\n")


@pytest.mark.parametrize("page", ["README.rst", "docs/getting-started.rst"])
def test_the_sample_of_the_python_client_on_one_line(server, page):
    (line,) = commands(page, ".venv/bin/python -c ")
    line = line.replace(".venv/bin/python", sys.executable).replace(URL, server.url)
    assert "usr" in run(["bash", "-c", line])


@pytest.mark.parametrize("page", ["README.rst", "docs/getting-started.rst"])
def test_the_sample_of_the_terminal_client(server, page):
    (line,) = commands(page, "bin/dockerexec-ws-client ")
    assert line.endswith(" -- bash")
    client = f"{sys.executable} -m dockerexec_ws.client"
    line = line.replace("bin/dockerexec-ws-client", client).replace(URL, server.url)
    assert run(["bash", "-c", f"{line} -c 'echo it works'"]) == "it works\n"


PRELUDE = """\
import gevent.monkey
gevent.monkey.patch_all()
import flask
flask_app = flask.Flask("sample")
@flask_app.get("/hello")
def hello():
    return "hello"
"""


@pytest.mark.parametrize(("page", "index"), [("README.rst", 0), ("docs/embedding.rst", 1)])
def test_the_sample_of_an_application_beside_another(container, docker_host, page, index):
    sample = PRELUDE + samples(page)[index].replace('"servertest"', f'"{container}", docker_host="{docker_host}"')
    assert sample.count('("127.0.0.1", 8080)') == 1
    # The server of the sample listens on a fixed port, which may be taken.
    sample = sample.replace('("127.0.0.1", 8080)', "listener").replace(
        "both = ", "import socket\nlistener = socket.create_server(('127.0.0.1', 0))\nboth = "
    )
    sample = sample.replace("WSGIServer(listener", "print(listener.getsockname()[1], flush=True)\nWSGIServer(listener")
    with started(sample) as process:
        url = f"ws://127.0.0.1:{first_line(process)}/shell"
        with Peer(url, "echo", "it works").ready() as peer:
            assert peer.transcript().stdout == b"it works\n"


def test_the_sample_of_a_server(container, docker_host):
    sample = samples("docs/embedding.rst")[0].replace('"servertest"', f'"{container}", docker_host="{docker_host}"')
    sample = sample.replace("print(server.url)", "print(server.url, flush=True)")
    with started(sample) as process, Peer(first_line(process), "echo", "it works").ready() as peer:
        assert peer.transcript().stdout == b"it works\n"


@contextlib.contextmanager
def started(program):
    """A program that runs until the block's end."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process):
    assert select.select([process.stdout], [], [], TIMEOUT / 2)[0], "the sample printed nothing"
    return process.stdout.readline().strip()
