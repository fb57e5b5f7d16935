"""The terminal client with pipes and files: bytes, closed streams, and readers that end."""

import os
import random
import select
import subprocess

import gevent
import pytest
from gevent.fileobject import FileObject

from tests.client.terminal.commands import OWN_FAILURE, one_line, run, shell, start
from tests.conftest import processes, wait_until


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder for tar, of 60 MB."""
    folder = tmp_path_factory.mktemp("tree")
    for number in range(3):
        (folder / f"file {number}").write_bytes(random.Random(number).randbytes(20_000_000 + number))
    return folder


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
    """Node and ssh leave streams that they share in this state."""
    data = random.Random(1).randbytes(3_000_000)
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    with (
        start(server.url, "--", "sh", "-c", "echo ready; cat", stdin=theirs_in, stdout=theirs_out) as client,
        FileObject(ours_out, "rb") as reader,
        open(ours_in, "wb") as writer,
    ):
        for descriptor in (theirs_in, theirs_out):  # only now, because gevent's Popen would undo it
            os.set_blocking(descriptor, False)
        os.close(theirs_in)
        assert reader.readline() == b"ready\n"  # stdin is still empty
        feeder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=writer)
        writer.close()
        feeding = gevent.spawn(feeder.communicate, data)
        wait_until(lambda: not select.select([], [theirs_out], [], 0)[1])  # the pipe is full
        os.close(theirs_out)
        got = reader.read()
        feeding.get()
        assert client.wait() == 0
        assert client.stderr.read() == b""
    assert got == data


# The reader has gone


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
