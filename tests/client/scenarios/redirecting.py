"""Streams that are files: cases that a comparison with ``docker exec`` cannot show."""

import hashlib
import os
import subprocess
import tempfile
import threading

from dockerexec_ws.client import ConnectionLost, connect, run
from tests.client.support import DATA, raises


def copies_much_from_file_to_file(url):
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(DATA)
        source.seek(0)
        with connect(url, ["cat"], stdin=source, stdout=target) as process:
            pass
        assert (process.stdin, process.stdout, process.returncode) == (None, None, 0)
        target.seek(0)
        assert hashlib.sha256(target.read()).digest() == hashlib.sha256(DATA).digest()


def ends_a_process_whose_file_cannot_be_written(url):
    with open("/dev/full", "wb") as full:
        with raises(OSError, "No space left"):
            run(url, ["cat", "/dev/zero"], stdout=full)
        process = connect(url, ["cat", "/dev/zero"], stdout=full)
    with raises(OSError, "No space left"):
        process.wait(30)
    process.close()
    with tempfile.TemporaryDirectory() as folder:
        descriptor = os.open(folder, os.O_RDONLY)
        with raises(OSError, "Is a directory"):
            run(url, ["cat"], stdin=descriptor)
        os.close(descriptor)


def leaves_no_thread_with_a_file(url):
    """One thread waits for a stdin that never comes, the other for a pipe that nobody reads."""
    silent, held = os.pipe()
    unread, full = os.pipe()
    run(url, ["true"], stdin=silent, stdout=subprocess.DEVNULL)
    with raises(subprocess.TimeoutExpired):
        run(url, ["cat", "/dev/zero"], stdout=full, timeout=1)
    process = connect(url, ["cat", "/dev/zero"], stdin=silent, stdout=full)
    process.kill()
    assert process.poll() in (None, -9)
    process.close()
    assert process.wait(30) == -9
    for thread in threading.enumerate():
        if thread.name == "dockerexec-ws file":
            thread.join(30)
            assert not thread.is_alive()
    for descriptor in (silent, held, unread, full):
        os.close(descriptor)


def gives_text_up_to_the_failure(url):
    script = "printf 'one\\n\\303'; sleep 0.2; printf '\\251 two'; kill -STOP $$"
    process = connect(url, ["sh", "-c", script], encoding="utf-8")
    assert process.stdout.readline() == "one\n"
    with raises(subprocess.TimeoutExpired) as caught:
        process.communicate(timeout=1)
    assert caught[0].output.endswith(b"\xa9 two")  # the text that was decoded earlier is included
    process.kill()
    assert process.communicate() == ("é two", "")
    with connect(url, ["sh", "-c", "printf 'last words'; cat"], text=True) as process:
        assert process.stdout.read(4) == "last"
        process._session.abandon()
        assert process.stdout.readline() == " words"
        with raises(ConnectionLost):
            process.stdout.readline()
        process.close()
