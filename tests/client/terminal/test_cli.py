"""The client's command line with pipes and files: streams, exit statuses, options. Terminals: test_terminal.py."""

import os
import random
import re
import select
import shlex
import signal
import socket
import subprocess

import gevent
import pytest
import trustme
from gevent.fileobject import FileObject

from dockerexec_ws import __version__
from dockerexec_ws.access.token_file import new_token
from tests.client.terminal.commands import CLIENT, environment, one_line, run, start
from tests.conftest import ROOT, processes, wait_until
from tests.settings.test_cli import running

OWN_FAILURE = 125


def shell(script, **variables):
    """Run *script*, in which $client is the client, with bash."""
    env = environment(client=shlex.join(CLIENT), **variables)
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, timeout=40)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder for tar, of 60 MB."""
    folder = tmp_path_factory.mktemp("tree")
    for number in range(3):
        (folder / f"file {number}").write_bytes(random.Random(number).randbytes(20_000_000 + number))
    return folder


# Streams


def test_both_streams_and_the_exit_code(server):
    done = run(server.url, "--", "sh", "-c", "cat; echo err >&2; exit 7", input=b"in\n")
    assert (done.stdout, done.stderr, done.returncode) == (b"in\n", b"err\n", 7)


def test_what_the_server_says_besides_is_told_once(serve):
    done = run(serve(read_only=True).url, "-i", "--", "sh", "-c", "cat; sleep 0.5", input=bytes(300_000))
    assert (done.stdout, done.returncode) == (b"", 0)
    assert one_line(done.stderr) == "the server says: stdin: not allowed, this session is read-only"


def test_bytes_of_every_value_and_no_terminals_newlines(server):
    data = bytes(range(256)) * 5
    assert run(server.url, "cat", input=data).stdout == data


def test_tar_goes_in_and_comes_back(server, tree, tmp_path, container, docker_api):
    script = """
        set -e -o pipefail
        mkdir "$folder/back"
        tar -C "$tree" -c . >"$folder/there.tar"
        $client $url -- sh -c 'cat >/tmp/there.tar' <"$folder/there.tar"
        $client $url -- cat /tmp/there.tar | tar -C "$folder/back" -x
        $client $url -- rm /tmp/there.tar
        diff -r "$tree" "$folder/back"
    """
    done = shell(script, url=server.url, tree=str(tree), folder=str(tmp_path))
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)


def test_the_half_close_leaves_the_output_open(server):
    with start(server.url, "--", "sh", "-c", "cat >/dev/null; echo end of stdin; sleep 0.2; echo more") as client:
        client.stdin.close()
        assert client.stdout.read() == b"end of stdin\nmore\n"
        assert client.wait() == 0


def test_output_comes_as_it_is_written(server):
    with start(server.url, "cat") as client:
        for line in (b"one\n", b"two\n"):
            client.stdin.write(line)
            client.stdin.flush()
            assert client.stdout.readline() == line
        client.stdin.close()
        assert client.wait() == 0


@pytest.mark.parametrize("stdin", ["</dev/null", "<&-", "<<<hello"])
def test_whatever_stdin_is(server, stdin):
    done = shell(f"$client $url -- wc -c {stdin}", url=server.url)
    assert (done.stderr, done.returncode) == (b"", 0)
    assert done.stdout.strip() == (b"6" if "hello" in stdin else b"0")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_gets_nothing_and_harms_no_other(server, closed):
    done = shell(f"$client $url -- sh -c 'echo out; echo err >&2; exit 3' {closed}", url=server.url)
    assert done.stdout == (b"" if closed != "2>&-" else b"out\n")
    assert done.stderr == (b"err\n" if closed == ">&-" else b"")
    assert done.returncode == 3


def test_stdin_that_cannot_be_read(server):
    done = shell("$client $url cat 0>/dev/null", url=server.url)
    assert one_line(done.stderr) == "cannot read from stdin: Bad file descriptor"
    assert done.returncode == OWN_FAILURE


def test_a_full_disk(server):
    done = shell("$client $url echo x >/dev/full", url=server.url)
    assert one_line(done.stderr) == "cannot write to stdout: No space left on device"
    assert done.returncode == OWN_FAILURE


def test_streams_that_do_not_block(server):
    """As node and ssh leave those that they share."""
    data = random.Random(1).randbytes(3_000_000)
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    with (
        start(server.url, "--", "sh", "-c", "echo ready; cat", stdin=theirs_in, stdout=theirs_out) as client,
        FileObject(ours_out, "rb") as reader,
        open(ours_in, "wb") as writer,
    ):
        for descriptor in (theirs_in, theirs_out):  # not before: gevent's Popen would undo it
            os.set_blocking(descriptor, False)
        os.close(theirs_in)
        assert reader.readline() == b"ready\n"  # there is no stdin yet
        feeder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=writer)
        writer.close()
        feeding = gevent.spawn(feeder.communicate, data)
        wait_until(lambda: not select.select([], [theirs_out], [], 0)[1])  # it is full
        os.close(theirs_out)
        got = reader.read()
        feeding.get()
        assert client.wait() == 0
        assert client.stderr.read() == b""
    assert got == data


# Nobody reads any more


def test_yes_into_a_command_that_ends(server):
    done = shell('yes | $client $url -- head -1; echo "${PIPESTATUS[@]}"', url=server.url)
    assert (done.stdout, done.stderr) == (b"y\n141 0\n", b"")


def test_a_command_that_writes_into_one_that_ends(server, container, docker_api):
    done = shell('$client $url -- yes | head -1; echo "${PIPESTATUS[@]}"', url=server.url)
    assert (done.stdout, done.stderr) == (b"y\n141 0\n", b"")
    wait_until(lambda: processes(docker_api, container) == [])


def test_a_command_that_writes_no_more_into_one_that_ends(server, container, docker_api):
    done = shell('$client $url -- tail -f /etc/group | head -1; echo "${PIPESTATUS[@]}"', url=server.url)
    assert (done.stdout, done.stderr) == (b"root:x:0:\n141 0\n", b"")
    wait_until(lambda: processes(docker_api, container) == [])


def test_a_command_that_ends_meanwhile_tells_its_own_status(server):
    script = "$client $url -- sh -c 'echo a; sleep 0.2; exit 4' | head -1; echo ${PIPESTATUS[@]}"
    assert shell(script, url=server.url).stdout == b"a\n4 0\n"


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


# What is no exit code of the command


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
        (["ws://x/"], "Missing argument '[--] COMMAND...'."),
        (["x", "true"], "that is no URL of a server"),
        (["ws://x/", "ls", "-l"], "No such option '-l'. If it is an option of the command, put -- before the command."),
        (["ws://x/", "ls", "-t"], "The command has options of its own. Put -- before it."),
        (["ws://x/", "ls", "-u", "x", "y"], "The command has options of its own. Put -- before it."),
        (["--bad", "ws://x/", "--", "ls"], "No such option '--bad'."),
        (["ws://x/", "--escape", "~~", "ls"], "is no escape character"),
        (["ws://x/", "--env", "=x", "ls"], "--env '=x' has no name. Use NAME=VALUE or NAME."),
        (["ws://x/", "--header", "x", "ls"], "A --header has no colon or no name. Use 'Name: value'."),
        (["ws://x/", "--header", "x: a\nb", "ls"], "the header 'x' has a line break in it"),
        (["ws://x/", "--token-file", "/none", "ls"], "File '/none' does not exist."),
        (["ws://x/", "--token-file", "/dev/null", "ls"], "--token-file /dev/null is empty"),
        (["ws://x/", "--cafile", "/dev/null", "ls"], "--cafile, --certfile or --keyfile cannot be used: "),
        (["ws://x/", "--keyfile", "/dev/null", "ls"], "--keyfile needs --certfile"),
        (["ws://x/", "--open-timeout", "0", "ls"], "--open-timeout"),
        (["ws://x/", b"\xff"], "The URL or the command is not UTF-8 text. Only UTF-8 can be sent."),
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


# Options


def test_user_environment_and_folder(serve):
    url = serve(allow_user=["user"], allow_env=["*"], allow_workdir=["/tmp"]).url
    words = ["-u", "user", "-e", "A=1=2", "--env", "HERE", "-e", "NOT_HERE", "-w", "/tmp"]
    done = run(url, *words, "--", "sh", "-c", "id -un; pwd; echo $A $HERE ${NOT_HERE-unset}", env={"HERE": "yes"})
    assert (done.stdout, done.stderr) == (b"user\n/tmp\n1=2 yes unset\n", b"")


@pytest.fixture
def guarded(serve, tmp_path):
    """A server that wants a token; and the token."""
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    return serve(token_file=tmp_path / "tokens"), token


def test_a_token_of_a_file_goes_before_that_of_the_environment(guarded, tmp_path):
    server, token = guarded
    (tmp_path / "token").write_text(f"{token}\n")
    done = run(server.url, "--token-file", tmp_path / "token", "true", env={"DOCKEREXEC_WS_TOKEN": "wrong"})
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_token_of_the_environment(guarded):
    server, token = guarded
    done = run(server.url, "true", env={"DOCKEREXEC_WS_TOKEN": token})
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_header(guarded):
    server, token = guarded
    done = run("--header", f"Authorization: Bearer {token}", server.url, "true")
    assert (done.stderr, done.returncode) == (b"", 0)


def test_no_token(guarded):
    done = run(guarded[0].url, "true")
    assert one_line(done.stderr)
    assert done.returncode == OWN_FAILURE


@pytest.mark.parametrize(
    ("url", "warned"), [("ws://10.255.255.1/", True), ("wss://10.255.255.1/", False), ("ws://localhost:1/", False)]
)
def test_a_token_in_the_clear_is_warned_of(url, warned):
    done = run(url, "--open-timeout", "0.2", "true", env={"DOCKEREXEC_WS_TOKEN": "x"})
    lines = done.stderr.splitlines(keepends=True)
    assert len(lines) == 1 + warned
    assert (b"warning: the token and all other data go to 10.255.255.1 in the clear" in lines[0]) is warned
    assert done.returncode == OWN_FAILURE


def test_tls(serve, tmp_path):
    authority = trustme.CA()
    ours, theirs = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.org")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    theirs.private_key_pem.write_to_path(tmp_path / "key.pem")
    theirs.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = dict.fromkeys(("certfile", "keyfile"), str(tmp_path / "server.pem"))
    url = serve(client_ca=str(tmp_path / "ca.pem"), **files).url
    assert url.startswith("wss://")
    words = ["--certfile", tmp_path / "cert.pem", "--keyfile", tmp_path / "key.pem"]
    done = run(url, "--cafile", tmp_path / "ca.pem", *words, "echo", "hi")
    assert (done.stdout, done.stderr) == (b"hi\n", b"")
    done = run(url, *words, "echo", "hi")
    assert "certificate" in one_line(done.stderr)
    assert done.returncode == OWN_FAILURE


# Starting


def test_help_is_grouped_and_fits_without_a_terminal():
    done = subprocess.run([*CLIENT, "--help"], env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Command:", "Connection:", "Terminal:", "Other options:"]
    assert max(map(len, lines)) <= 120
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_what_needs_no_session_loads_no_more_than_it_needs(words):
    program = (
        "import os, sys\n"
        "os._exit = lambda status: print(*sys.modules, file=sys.stderr)\n"
        "import dockerexec_ws.client.__main__ as main\n"
        "main.main()"
    )
    done = subprocess.run(
        [CLIENT[0], "-c", program, *words], env=without_coverage(), capture_output=True, text=True, check=True
    )
    assert not {"gevent", "docker", "ssl", "websockets", "requests"} & set(done.stderr.split())


def test_a_session_loads_neither_gevent_nor_docker(server):
    program = (
        "import os, sys\n"
        "os._exit = lambda status: print(*sys.modules, file=sys.stderr)\n"
        "import dockerexec_ws.client.__main__ as main\n"
        "main.main()"
    )
    done = subprocess.run([CLIENT[0], "-c", program, server.url, "true"], env=without_coverage(), capture_output=True)
    loaded = set(done.stderr.decode().split())
    assert "websockets" in loaded
    assert not {"gevent", "docker", "requests", "geventwebsocket"} & loaded


def without_coverage():
    """The environment without coverage, which imports gevent."""
    return {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}


def test_the_command_in_bin(server):
    script = ROOT / "bin/dockerexec-ws-client"
    done = subprocess.run([script, server.url, "echo", "hi"], env=environment(), capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == (b"hi\n", b"", 0)
    version = subprocess.run([script, "--version"], env=environment(), capture_output=True, text=True, cwd="/")
    assert version.stdout == f"dockerexec-ws-client, version {__version__}\n"


def test_completion_in_a_real_bash():
    command = os.path.join(os.path.dirname(CLIENT[0]), "dockerexec-ws-client")
    script = """
        source <("$command" --completion bash)
        COMP_WORDS=(dockerexec-ws-client --tok) COMP_CWORD=1
        complete -p dockerexec-ws-client
        _dockerexec_ws_client_completion "$command"
        echo "${COMPREPLY[@]}"
    """
    done = shell(script, command=command)
    assert done.stderr == b""
    first, second = done.stdout.decode().splitlines()
    assert re.fullmatch(r"complete .*-F _dockerexec_ws_client_completion dockerexec-ws-client", first)
    assert second == "--token-file"


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_completion_of_other_shells_is_printed(name):
    done = run("--completion", name)
    assert b"_DOCKEREXEC_WS_CLIENT_COMPLETE=" + name.encode() + b"_complete" in done.stdout
    assert (done.stderr, done.returncode) == (b"", 0)
