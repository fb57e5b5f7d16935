"""The terminal client's exit status: the command's, a signal's, or that of its own failure."""

import shlex
import signal
import socket
import subprocess

import pytest

from tests.client.terminal.commands import CLIENT, OWN_FAILURE, environment, one_line, run, start
from tests.conftest import processes, wait_until
from tests.settings.command import running


@pytest.mark.parametrize("code", [0, 1, 125, 126, 127, 137, 255])
def test_exit_codes(server, code):
    done = run(server.url, "--", "sh", "-c", f"exit {code}")
    assert (done.stderr, done.returncode) == (b"", code)


def test_a_command_that_is_not_there(server):
    done = run(server.url, "no-such-command")
    assert done.returncode == 126
    assert b"no-such-command" in done.stderr


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = run(f"ws://127.0.0.1:{port}/x", "true")
    assert one_line(done.stderr) == f"cannot connect to 127.0.0.1:{port}: Connection refused"
    assert done.returncode == OWN_FAILURE


def test_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = run(f"ws://127.0.0.1:{listener.getsockname()[1]}/x", "--open-timeout", "0.5", "--", "true")
    assert one_line(done.stderr).endswith("did not answer within 0.5 s")
    assert done.returncode == OWN_FAILURE


def test_refused(serve):
    done = run(serve(max_sessions=1, allow_command=["cat"]).url, "true")
    assert one_line(done.stderr) == "command: not allowed"
    assert done.returncode == OWN_FAILURE


@pytest.mark.parametrize(
    ("number", "text"),
    [(signal.SIGKILL, "the connection was lost"), (signal.SIGTERM, "the server was shut down")],
)
def test_the_server_goes_away(container, docker_host, number, text):
    options = ["--container", container, "--docker-host", docker_host, "--port", "0", "--on-disconnect", "leave"]
    with running(*options) as (process, url), start(url, "--", "sh", "-c", "echo ready; exec cat") as client:
        assert client.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert one_line(client.stderr.read()) == text
        assert client.wait() == OWN_FAILURE


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "Missing argument 'URL'."),
        (["ws://x/"], "There is no COMMAND, and a shell needs a terminal. Add -- COMMAND, or --tty"),
        (["x", "true"], "This is not the URL of a server."),
        (["ws://x/", "ls", "-l"], "No such option '-l'. If it is an option of the command, put -- before the command."),
        (["ws://x/", "ls", "-t"], "The command has options of its own. Put -- before it."),
        (["ws://x/", "ls", "-u", "x", "y"], "The command has options of its own. Put -- before it."),
        (["--bad", "ws://x/", "--", "ls"], "No such option '--bad'."),
        (["ws://x/", "--escape", "~~", "ls"], "'~~' is not an escape character."),
        (["ws://x/", "--env", "=x", "ls"], "--env '=x' has no name. Use NAME=VALUE or NAME."),
        (["ws://x/", "--header", "x", "ls"], "A --header has no colon or no name. Use 'Name: value'."),
        (["ws://x/", "--header", "x: a\nb", "ls"], "the header 'x' contains a character that cannot be sent."),
        (["ws://x/", "--token-file", "/none", "ls"], "File '/none' does not exist."),
        (["ws://x/", "--token-file", "/dev/null", "ls"], "--token-file /dev/null is empty"),
        (["ws://x/", "--cafile", "/dev/null", "ls"], "--cafile, --certfile or --keyfile cannot be used: "),
        (["ws://x/", "--keyfile", "/dev/null", "ls"], "--keyfile needs --certfile"),
        (["ws://x/", "--open-timeout", "0", "ls"], "--open-timeout"),
        (["ws://x/\udcff", "ls"], "This is not the URL of a server."),
        (["ws://x/", "\udcff"], "command: this is not UTF-8 text. Only UTF-8 can be sent."),
        (["ws://x/", "-e", "A=\udcff", "ls"], "env: this is not UTF-8 text."),
        (["ws://x/", "-u", "\udcff", "ls"], "user: this is not UTF-8 text."),
        (["ws://x/", "-w", "\udcff", "ls"], "workdir: this is not UTF-8 text."),
        (["ws://x/", "--header", "x: \udcff", "ls"], "the header 'x' contains a character that cannot be sent."),
        (["ws://x/", "--header", "\udcff: x", "ls"], "contains a character that cannot be sent."),
        (["ws://x/", "--proxy", "http://a:\udcff@x:1", "ls"], "The proxy's URL is not that of a proxy."),
        ([f"ws://{'a' * 70}/", "ls"], "cannot connect to"),
    ],
)
def test_what_cannot_be_meant(words, text):
    done = run(*words)
    assert text in one_line(done.stderr)
    assert (done.stdout, done.returncode) == (b"", OWN_FAILURE)


def test_a_fault_of_its_own_is_told_with_its_traceback(server):
    program = (
        "import dockerexec_ws.client.terminal.relay as relay, dockerexec_ws.client.__main__ as main\n"
        "relay.Relay._write = lambda *_: 1 / 0\n"
        "main.main()"
    )
    done = subprocess.run([CLIENT[0], "-c", program, server.url, "echo", "x"], env=environment(), capture_output=True)
    assert done.returncode == OWN_FAILURE
    assert b"ZeroDivisionError" in done.stderr


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_client_and_the_command(server, container, docker_api, number):
    with start(server.url, "--", "sh", "-c", "echo ready; sleep 1000") as client:
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(number)
        assert client.wait() == -number
        assert client.stderr.read() == b""
    wait_until(lambda: processes(docker_api, container) == [])


def test_a_signal_that_was_ignored_stays_so(server):
    with subprocess.Popen(
        ["bash", "-c", "trap '' HUP; exec $client $url -- sh -c 'echo ready; cat; exit 6'"],
        env=environment(client=shlex.join(CLIENT), url=server.url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGHUP)
        assert client.communicate(b"still there")[0] == b"still there"
        assert client.returncode == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_connects(number):
    with (
        socket.create_server(("127.0.0.1", 0)) as nobody,
        start(f"ws://127.0.0.1:{nobody.getsockname()[1]}/x", "true") as client,
        nobody.accept()[0],
    ):
        client.send_signal(number)
        assert client.wait() == -number
        assert (client.stdout.read(), client.stderr.read()) == (b"", b"")
