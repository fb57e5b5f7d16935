"""The same programs with this client and with ``subprocess`` and ``docker exec``: a caller gets the same results."""

import os
import shutil
import subprocess
from subprocess import DEVNULL, PIPE, STDOUT

import pytest

from dockerexec_ws import client
from dockerexec_ws.errors import ServerShutdown
from tests.conftest import wait_until

BOTH = ["sh", "-c", "echo out; echo err >&2; exit 3"]
GREEK = ["printf", r"\316\261\r\n\316\262\r\377"]


class Docker:
    """``subprocess`` with a command line before each program."""

    def __init__(self, *prefix):
        self.prefix = prefix

    def __getattr__(self, name):
        return lambda argv, **options: getattr(subprocess, name)([*self.prefix, *argv], **options)


class Client:
    """The same interface of this client."""

    def __init__(self, url):
        self.url = url

    def __getattr__(self, name):
        function = client.connect if name == "Popen" else getattr(client, name)
        return lambda argv, **options: function(self.url, argv, **options)


def result(done):
    return done.returncode, done.stdout, done.stderr


def caught(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except (subprocess.SubprocessError, ValueError, OSError, LookupError) as error:
        return type(error), getattr(error, "returncode", None), getattr(error, "output", None)


def to_a_file(api, path):
    with (path / "out").open("w+b") as file:
        done = api.run(BOTH, stdout=file, stderr=PIPE)
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return result(done), file.read()


def to_two_files_by_descriptor(api, path):
    with (path / "out").open("wb") as out, (path / "err").open("wb") as err:
        done = api.run(BOTH, stdout=out.fileno(), stderr=err.fileno())
    return result(done), (path / "out").read_bytes(), (path / "err").read_bytes()


def to_nowhere(api, _):
    return [result(api.run(BOTH, stdout=DEVNULL, stderr=end)) for end in (DEVNULL, PIPE)]


def stderr_with_stdout(api, path):
    script = ["sh", "-c", "for i in 1 2 3; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done"]
    with (path / "both").open("wb") as file:
        api.run(script, stdout=file, stderr=STDOUT)
    return result(api.run(script, stdout=PIPE, stderr=STDOUT, text=True)), (path / "both").read_bytes()


def from_a_file(api, path):
    (path / "in").write_bytes(b"one\ntwo\n")
    with (path / "in").open("rb") as file:
        return result(api.run(["wc", "-l"], stdin=file, capture_output=True))


def from_nowhere(api, _):
    return result(api.run(["cat"], stdin=DEVNULL, stdout=PIPE))


def from_a_pipe(api, _):
    with subprocess.Popen(["seq", "100000"], stdout=PIPE) as seq:
        return result(api.run(["wc", "-l"], stdin=seq.stdout, stdout=PIPE, encoding="ascii"))


def with_an_encoding(api, _):
    return [
        result(api.run(GREEK, capture_output=True, encoding="utf-8", errors="replace")),
        result(api.run(GREEK, capture_output=True, encoding="iso-8859-7", errors="ignore")),
        result(api.run(["cat"], input="ä", capture_output=True, encoding="latin-1")),
    ]


def with_wrong_arguments(api, path):
    with (path / "gone").open("wb") as gone:
        pass
    return [
        caught(api.run, ["cat"], stdin=PIPE, input=b""),
        caught(api.run, ["cat"], stdout=PIPE, capture_output=True),
        caught(api.check_output, ["cat"], stdout=PIPE),
        caught(api.run, ["cat"], stdout=gone),
        caught(api.run, ["true"], encoding="no-such", capture_output=True),
    ]


def checked(api, _):
    return [
        api.check_output(["echo", "a"]),
        api.check_output(["cat"], input=b"b"),
        api.check_output(["echo", "c"], text=True),
        caught(api.check_output, BOTH, stderr=DEVNULL),
        caught(api.check_output, BOTH, stderr=STDOUT, encoding="utf-8")[:2],
    ]


def read_as_text(api, _):
    with api.Popen(["sh", "-c", "cat; printf 'x\\r\\ny'"], stdin=PIPE, stdout=PIPE, text=True) as process:
        process.stdin.write("é\nß\n")
        process.stdin.close()
        return [
            process.stdout.readline(),
            process.stdout.read(1),
            list(process.stdout),
            process.stdout.encoding.lower(),
        ]


def communicated(api, path):
    with (path / "err").open("wb") as err, api.Popen(BOTH, stdin=PIPE, stdout=PIPE, stderr=err) as process:
        assert process.stderr is None
        assert process.stdout.read() == b"out\n"
    process = api.Popen(["cat"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True)
    return process.communicate("ä"), process.returncode, (path / "err").read_bytes()


def killed(api, _):
    """End a process that is no longer needed, as the manual of ``subprocess`` shows."""
    ends = []
    for name in ("terminate", "kill"):
        with api.Popen(
            ["sh", "-c", "echo so far; exec sleep 1000"], stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        ) as process:
            assert process.stdout.readline() == b"so far\n"
            getattr(process, name)()
            ends.append((process.communicate(timeout=30), process.wait(), process.poll(), process.args[0]))
            getattr(process, name)()
    return ends


HABITS = [
    to_a_file,
    to_two_files_by_descriptor,
    to_nowhere,
    stderr_with_stdout,
    from_a_file,
    from_nowhere,
    from_a_pipe,
    with_an_encoding,
    with_wrong_arguments,
    checked,
    read_as_text,
    communicated,
    killed,
]


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.__name__)
def test_a_habit_of_subprocess(habit, server, container, tmp_path):
    # The docker command leaves a process behind that it should end, so a local process serves as the reference there.
    prefix = () if habit is killed else (shutil.which("docker"), "exec", "-i", container)
    folders = [tmp_path / name for name in ("docker", "client")]
    for folder in folders:
        folder.mkdir()
    assert habit(Client(server.url), folders[1]) == habit(Docker(*prefix), folders[0])


@pytest.mark.parametrize("wrong", [{"encoding": "nonsense"}, {"errors": "nonsense"}])
def test_a_wrong_encoding_is_found_before_the_command_runs(wrong):
    with pytest.raises(LookupError, match="nonsense"):
        client.connect("ws://127.0.0.1:9/x", ["true"], **wrong)


def test_what_has_arrived_gets_into_its_file_when_the_server_goes_away(server):
    size = 500_000  # more than a pipe holds
    argv = ["sh", "-c", f"head -c {size} /dev/zero; sleep 1000"]
    with subprocess.Popen(["sh", "-c", "sleep 1; wc -c"], stdin=PIPE, stdout=PIPE) as late:
        process = client.connect(server.url, argv, stdout=late.stdin)
        late.stdin.close()
        (session,) = server.sessions
        wait_until(lambda: session.bytes_out == size and not session.output_waiting)
        server.close()
        with pytest.raises(ServerShutdown):
            process.wait()
        process.close()
        assert int(late.stdout.read()) == size
