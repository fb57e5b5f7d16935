"""The README and the manual: their links have targets, and their samples run as written."""

import contextlib
import io
import os
import re
import select
import shlex
import shutil
import subprocess
import sys
import tarfile
import textwrap
import tomllib
from pathlib import Path

import gevent
import pytest
import trustme

from dockerexec_ws.access.token_file import new_token
from tests.conftest import ROOT, TIMEOUT, uncovered
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
    # The sample's server listens on a fixed port, which may be taken.
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


TERMINAL_CLIENT = commands("docs/clients.rst", "dockerexec-ws-client ") + commands("docs/clients.rst", "tar -c ")

# Programs that the samples run in the container, and their output.
PREPARE = """\
adduser app 2>/dev/null || echo app:x:4321:4321::/:/bin/sh >>/etc/passwd
mkdir -p /srv /var/log
echo ready >/var/log/app.log
printf '#!/bin/sh\necho shell of %s DEBUG=$DEBUG\n' '$(id -un)' >/manage.py
printf '#!/bin/sh\necho dump of $1\n' >/usr/bin/pg_dump
chmod +x /manage.py /usr/bin/pg_dump
"""


def archive_of(name, file):
    """Return a tar archive, as bytes, of *file* under another name."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(file.resolve(), name)
    return archive.getvalue()


@pytest.fixture
def program_server(own_container, docker_api, serve, tmp_path):
    """A server with TLS and tokens, whose container has the programs that the samples run."""
    docker_api.put_archive(own_container, "/usr/bin", archive_of("tar", Path(shutil.which("busybox"))))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    token, line = new_token("alice")
    (tmp_path / "tokens").write_text(line + "\n")
    (tmp_path / ".token").write_text(token)
    server = serve(
        own_container,
        token_file=tmp_path / "tokens",
        certfile=tmp_path / "server.pem",
        keyfile=tmp_path / "server.pem",
        allow_user=("app",),
        allow_env=("DEBUG",),
    )
    client = shlex.join([sys.executable, "-m", "dockerexec_ws.client"])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/dockerexec-ws-client").write_text(f'#!/bin/sh\nexec {client} "$@"\n')
    (tmp_path / "bin/dockerexec-ws-client").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
        "DOCKEREXEC_WS_TOKEN": token,
    }

    def in_shell(line, stdin=b""):
        line = re.sub(r"wss?://[\w.:]+/PATH|\bURL\b", server.url, line)
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", line],
            cwd=tmp_path / "bin",
            env=uncovered() | environment,
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT / 2,
        )

    assert in_shell("dockerexec-ws-client URL -- sh", PREPARE.encode()).returncode == 0
    return in_shell


def test_the_samples_of_the_terminal_client(program_server):
    assert len(TERMINAL_CLIENT) == 6
    words = ("-- bash", "manage.py", "tar -x", "pg_dump", "tail -f")
    shell, manage, tar, dump, log = (next(line for line in TERMINAL_CLIENT if word in line) for word in words)
    assert program_server(shell, b"echo it works\n").stdout == b"it works\n"
    done = program_server(TERMINAL_CLIENT[0])  # needs a terminal; tests/client/terminal gives it one
    assert (done.returncode, b"There is no COMMAND" in done.stderr) == (125, True)
    assert program_server(manage).stdout == b"shell of app DEBUG=1\n"
    assert program_server(tar).returncode == 0
    assert program_server("dockerexec-ws-client URL -- ls /srv").stdout == b"dockerexec-ws-client\n"
    assert program_server(f"{dump}; zcat shop.sql.gz").stdout == b"dump of shop\n"
    assert program_server(log).stdout == b"ready\n"


GUNICORN = sorted({line for page in ("README.rst", "docs/embedding.rst") for line in commands(page, "gunicorn ")})


@pytest.mark.parametrize("line", GUNICORN)
def test_the_samples_of_gunicorn(line, container, docker_host, tmp_path):
    for page in ("README.rst", "docs/embedding.rst"):
        (settings,) = commands(page, "export ")
    script = f"{settings.replace('NAME', container)}\nexec {line}"
    log = tmp_path / "log"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DOCKER_HOST": docker_host,
        "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0 --no-control-socket",
    }
    with (
        log.open("w") as file,
        subprocess.Popen(["bash", "-c", script], env=uncovered() | environment, cwd=ROOT, stderr=file) as process,
    ):
        try:
            with gevent.Timeout(TIMEOUT / 3, AssertionError(f"not ready: {log.read_text()}")):
                while not (port := re.search(r"Listening at: http://127.0.0.1:(\d+)", log.read_text())):
                    gevent.sleep(0.05)
            with Peer(f"ws://127.0.0.1:{port[1]}/SECRET", "echo", "it works").ready() as peer:
                assert peer.transcript().stdout == b"it works\n"
        finally:
            process.terminate()


def test_the_sample_of_the_command(container, docker_host):
    (line,) = commands("README.rst", "python -m dockerexec_ws ")
    words = shlex.split(line.replace("NAME", container))
    environment = uncovered() | {"DOCKEREXEC_WS_PORT": "0", "DOCKER_HOST": docker_host}
    with subprocess.Popen(
        [sys.executable, *words[1:]], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            url = first_line(process).removeprefix("listening on ")
            with Peer(url, "echo", "it works").ready() as peer:
                assert peer.transcript().stdout == b"it works\n"
        finally:
            process.terminate()


def test_the_sample_of_a_policy_file(tmp_path):
    (block,) = re.findall(
        r"^The policy file is TOML.*::\n\n((?:    .*\n)+)", (ROOT / "docs/serving.rst").read_text(), re.M
    )
    sample = textwrap.dedent(block)
    assert set(tomllib.loads(sample)) == {"containers", "access", "requests", "server", "sessions", "audit"}
    certificate = trustme.CA().issue_cert("ci.example")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "tokens").write_text(new_token("alice")[1] + "\n")
    for folder in ("/etc/dockerexec-ws", "/var/log"):
        assert folder in sample
        sample = sample.replace(folder, str(tmp_path))
    (tmp_path / "policy.toml").write_text(sample)
    run([sys.executable, "-m", "dockerexec_ws", "--config", tmp_path / "policy.toml", "--check-config"])
