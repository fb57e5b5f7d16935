"""bin/serve as a user runs it: what it serves, prints and passes on, and how it ends."""

import contextlib
import os
import pathlib
import re
import shlex
import signal
import subprocess
import time

import pytest

from dockerexec_ws import __version__
from dockerexec_ws.access.token_file import new_token
from tests.conftest import ROOT, uncovered, wait_until
from tests.peer import Peer

SCRIPT = ROOT / "bin/serve"
NOWHERE = "tcp://127.0.0.1:1"


def environment_of(**settings):
    """The environment of a server: that of this test run, without settings other than the state folder."""
    kept = {name: value for name, value in uncovered().items() if not name.startswith("DOCKEREXEC_WS_")}
    return kept | {"DOCKEREXEC_WS_STATE_DIR": os.environ["DOCKEREXEC_WS_STATE_DIR"]} | settings


class Serve:
    """A running bin/serve. Its output goes to files, so that it never waits for a reader."""

    def __init__(self, folder, options, environment):
        self.out = folder / "stdout"
        self.err = folder / "stderr"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [SCRIPT, *options],
                cwd=folder,  # not the checkout
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def ready(self):
        """Wait until it is ready; return the URL."""
        wait_until(lambda: "\n" in self.out.read_text() or self.process.poll() is not None, timeout=30)
        line = re.fullmatch(r"listening on (ws://\S+)\n", self.out.read_text())
        assert line, self.err.read_text()
        return line[1]

    def hint(self):
        """Return the command that stderr suggests. The only other line is the page's address, at the same URL."""
        wait_until(lambda: self.err.read_text().count("\n") == 2)
        hint, page = re.fullmatch("try it: (.+)\nor in a browser: (.+)\n", self.err.read_text()).groups()
        assert page == self.ready().replace("ws", "http", 1)
        return hint

    def left(self):
        """The pids of its processes, without zombies."""
        found = []
        for file in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # the process has ended
                state, _parent, _group, session = file.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(file.parent.name))
        return found


@pytest.fixture
def start(docker_host, tmp_path):
    """A function that starts bin/serve with *options*; all processes are killed at the end."""
    with contextlib.ExitStack() as stack:

        def start(*options, environment=()):
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            serve = Serve(folder, options, environment_of(**{"DOCKER_HOST": docker_host} | dict(environment)))
            stack.callback(kill, serve)
            return serve

        def kill(serve):
            for pid in serve.left():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            serve.process.wait()

        yield start


def run(*options, environment):
    """Run bin/serve to its end."""
    return subprocess.run(
        [SCRIPT, *options],
        env=environment_of(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=45,
    )


def output_of(url, *argv):
    transcript = Peer(url, *argv).transcript()
    assert (transcript.exit_code, transcript.stderr) == (0, b"")
    return transcript.stdout.decode()


def host_name(api, container):
    return api.inspect_container(container)["Config"]["Hostname"]


def test_without_options_it_serves_the_demo_container_on_port_8080(start, docker_api):
    serve = start()
    url = serve.ready()
    assert re.fullmatch(r"ws://127\.0\.0\.1:8080/[\w-]{16,}", url)
    assert host_name(docker_api, "servertest") == output_of(url, "cat", "/etc/hostname").strip()


def test_what_stderr_says_to_try_works(start):
    serve = start("--port", "0")
    url = serve.ready()
    command = shlex.split(serve.hint())
    assert command == [str(ROOT / "bin/dockerexec-ws-client"), url, "--", "echo", "hello"]
    # The client's input stays open, like a terminal's. The client still ends when the session does.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        try:
            assert client.stdout.read() == "hello\n"
            assert client.wait(timeout=10) == 0
        finally:
            client.kill()


def test_what_stderr_says_to_try_works_with_a_token(start, tmp_path):
    token, line = new_token("alice")
    (tmp_path / "tokens").write_text(line + "\n")
    serve = start("--port", "0", "--token-file", tmp_path / "tokens")
    serve.ready()
    hint = serve.hint()
    assert hint.startswith("DOCKEREXEC_WS_TOKEN=YOUR-TOKEN ")
    command = ["bash", "-c", hint.replace("YOUR-TOKEN", token)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.returncode) == ("hello\n", 0), done.stderr


def test_no_page_is_told_where_there_is_none(start):
    serve = start("--port", "0", "--no-page")
    serve.ready()
    wait_until(lambda: serve.err.read_text().endswith(" -- echo hello\n"))
    assert "browser" not in serve.err.read_text()


@pytest.mark.alone
def test_a_second_start_is_ready_in_less_than_3_seconds(start):
    start("--port", "0").ready()

    def seconds():
        before = time.monotonic()
        start("--port", "0").ready()
        return time.monotonic() - before

    assert min(seconds(), seconds()) < 3.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start, number):
    serve = start("--port", "0")
    peer = Peer(serve.ready(), "sleep", "600").ready()
    serve.hint()
    before = time.monotonic()
    # A terminal sends SIGINT to every process of the group.
    (os.killpg if number == signal.SIGINT else os.kill)(serve.process.pid, number)
    transcript = peer.transcript()
    assert transcript.messages == [b"\xc9"]
    assert transcript.close_code == 1001
    assert serve.process.wait(timeout=10) == 0
    assert time.monotonic() - before < 5.0
    wait_until(lambda: not serve.left())
    # Neither stdout nor stderr has more lines now.
    serve.ready()
    serve.hint()


def test_options_are_passed_on(start, own_container):
    serve = start("--port=0", "--container", own_container, "--path", "a b", "--wrapper-command", "printf '%s|' 'c  d'")
    url = serve.ready()
    assert url.endswith("/a%20b")
    assert output_of(url, "e", "f g") == "c  d|e|f g|"
    assert url in shlex.split(serve.hint())


def test_settings_from_the_environment_are_passed_on(start, own_container, docker_api):
    settings = {"PORT": "0", "CONTAINER": own_container, "PATH": "x"}
    serve = start(environment={f"DOCKEREXEC_WS_{name}": value for name, value in settings.items()})
    url = serve.ready()
    assert url.endswith("/x")
    assert host_name(docker_api, own_container) == output_of(url, "cat", "/etc/hostname").strip()


@pytest.mark.parametrize("way", ["flag", "flag with =", "environment"])
def test_an_engine_that_is_named_is_taken_as_it_is(start, docker_host, way):
    """The script looks for no other engine, and starts none."""
    environment = {"DOCKER_HOST": NOWHERE, "DOCKEREXEC_WS_PORT": "0"}
    match way:
        case "flag":
            serve = start("--docker-host", docker_host, environment=environment)
        case "flag with =":
            serve = start(f"--docker-host={docker_host}", environment=environment)
        case "environment":
            serve = start(environment=environment | {"DOCKEREXEC_WS_DOCKER_HOST": docker_host})
    assert output_of(serve.ready(), "echo", "it works") == "it works\n"


def test_no_engine():
    done = run("--port", "0", environment={"DOCKER_HOST": NOWHERE})
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no engine answers at DOCKER_HOST={NOWHERE}" in done.stderr


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_needs_no_engine(option):
    done = run(option, environment={"DOCKER_HOST": NOWHERE})
    assert (done.returncode, done.stderr) == (0, "")
    assert "--max-sessions" in done.stdout


def test_version_needs_no_engine():
    done = run("--version", environment={"DOCKER_HOST": NOWHERE})
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dockerexec-ws, version {__version__}\n", "")


def test_an_unknown_option(docker_host):
    done = run("--nonsense", environment={"DOCKER_HOST": docker_host})
    assert (done.returncode, done.stdout) == (2, "")
    assert "--nonsense" in done.stderr


def test_a_port_that_is_taken(start, docker_host):
    port = start("--port", "0").ready().split(":")[2].split("/")[0]
    done = run("--port", port, environment={"DOCKER_HOST": docker_host})
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1, port {port}" in done.stderr


def test_killed_servers_leave_no_process(start):
    serves = [start("--port", "0") for _ in range(3)]
    for serve in serves:
        serve.ready()
        serve.hint()
        assert len(serve.left()) > 1  # the second process passes the output on
    for serve in serves:
        serve.process.kill()
    for serve in serves:
        serve.process.wait()
        wait_until(lambda serve=serve: not serve.left())
