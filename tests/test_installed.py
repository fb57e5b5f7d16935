"""What a user installs and starts: the wheel with each extra, in an environment that has nothing else."""

import email
import re
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import uncovered, wait_until
from tests.sources import copy_sources, run, without_npm

UV = [sys.executable, "-m", "uv", "--quiet"]
STARTS = {
    "": ["dockerexec-ws", "--port", "0"],
    "gunicorn": ["gunicorn", "-k", "gevent", "-b", "127.0.0.1:0", "dockerexec_ws.wsgi:app"],  # as in the README
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel without the browser page, which takes npm long to fetch."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    copy_sources(source)
    run(*UV, "build", "--wheel", "--out-dir", target, cwd=source, PATH=without_npm(target / "bin"))
    (path,) = target.glob("*.whl")
    return path


def test_every_extra_for_users_is_started_here(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        extras = email.message_from_bytes(archive.read(name)).get_all("Provides-Extra")
    assert set(extras) - {"test"} == set(STARTS) - {""}


@pytest.mark.parametrize(
    ("extra", "resolution"), [("", "highest"), ("gunicorn", "highest"), ("gunicorn", "lowest-direct")]
)
def test_what_an_extra_is_for(extra, resolution, wheel, tmp_path, container, docker_host):
    folder = tmp_path / "venv"
    run(*UV, "venv", "--python", sys.executable, folder, cwd=tmp_path)
    package = f"{wheel}[{extra}]" if extra else wheel
    run(*UV, "pip", "install", "--resolution", resolution, "--python", folder / "bin/python", package, cwd=tmp_path)
    settings = {"DOCKEREXEC_WS_CONTAINER": container, "DOCKEREXEC_WS_PATH": "x", "DOCKER_HOST": docker_host}
    environment = {name: value for name, value in uncovered().items() if name != "PYTHONPATH"} | settings
    program, *arguments = STARTS[extra]
    with (tmp_path / "log").open("w+") as log:
        server = subprocess.Popen(
            [folder / "bin" / program, *arguments], cwd=tmp_path, env=environment, stdout=log, stderr=log
        )
        try:

            def port():
                text = (tmp_path / "log").read_text()
                assert server.poll() is None, text
                return re.search(r"(?i)listening (?:at: http|on ws)://127.0.0.1:(\d+)", text)

            url = f"ws://127.0.0.1:{wait_until(port, timeout=30)[1]}/x"
            client = [folder / "bin/dockerexec-ws-client", url, "--", "sh", "-c", "cat; exit 3"]
            done = subprocess.run(
                client, cwd=tmp_path, env=environment, input=b"hello", capture_output=True, timeout=40
            )
            assert (done.stdout, done.returncode) == (b"hello", 3), done.stderr
        finally:
            server.terminate()
            server.wait(30)
    assert "Traceback" not in (tmp_path / "log").read_text()
