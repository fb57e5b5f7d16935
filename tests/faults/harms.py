"""Faults of the engine, the container and the machine. Each function harms the sessions of a ServerProcess."""

import contextlib
import os
import pathlib
import signal
import subprocess

import gevent

from tests.conftest import processes, wait_until
from tests.faults.scenarios import connect
from tests.peer import Peer

COMMANDS = [["yes"], ["cat", "/dev/zero"], ["sleep", "600"], ["cat"], ["sh", "-c", "trap '' HUP TERM; sleep 600"]]

_LEFT = "may be left"  # the killer's word in the log

TOLD_WITHIN = 2.0
"""Seconds beside the engine's timeout."""


def sessions(server, count):
    """Start *count* sessions of several kinds, with and without a tty; nobody reads their output."""
    commands = [COMMANDS[number % len(COMMANDS)] for number in range(count)]
    return [
        Peer(server.url, *command, tty=number % 2 == 1, receive_buffer=4096).ready()
        for number, command in enumerate(commands)
    ]


def assert_told(peer):
    """Check that the session failed, and that no exit code was invented."""
    transcript = peer.transcript()
    told = (transcript.exit_code, len(transcript.errors), transcript.close_code)
    assert told == (None, 1, 1011), transcript.messages


def assert_works(server):
    transcript = Peer(server.url, "echo", "it works").transcript()
    told = (transcript.stdout, transcript.exit_code, transcript.close_code)
    assert told == (b"it works\n", 0, 1000), (told, transcript.messages)


def engine_killed(server, engine, count):
    """Kill the engine under *count* sessions, and start it again."""
    peers = sessions(server, count)
    engine.kill("dockerd ", "containerd ")
    for peer in peers:
        assert_told(peer)
    assert_told(Peer(server.url, "true"))
    wait_until(lambda: server.ask("census")["sessions"] == 0)
    engine.up()
    assert_works(server)


@contextlib.contextmanager
def stopped(engine):
    """The daemon answers nothing during the block; its containers keep running."""
    pids = engine.processes("dockerd ")
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def engine_hangs(server, engine, count, timeout):
    """The engine hangs under *count* sessions for longer than *timeout*, the server's limit for it."""
    peers = sessions(server, count)
    told = server.logged().count(_LEFT)
    with stopped(engine):
        for peer in [Peer(server.url, "true") for _ in range(3)]:
            with gevent.Timeout(timeout + TOLD_WITHIN, AssertionError("told too late")):
                assert_told(peer)
        for peer in peers:
            peer.vanish()
        # The killer has tried and failed.
        wait_until(lambda: server.logged().count(_LEFT) > told, timeout=timeout + 5)
    assert_works(server)


def container_killed(server, api, count, number="SIGKILL"):
    """Kill the first process of the container, or all of them, under *count* sessions; start the container again."""
    peers = sessions(server, count)
    # The engine reports an exec as started before it is. An exec that then cannot start ends with 126.
    wait_until(lambda: len(processes(api, server.container)) >= count + count // len(COMMANDS))
    api.kill(server.container, number)
    for peer in peers:
        transcript = peer.transcript()
        if transcript.close_code == 1000:
            assert transcript.exit_code == 128 + signal.SIGKILL, transcript.messages
        else:
            assert (transcript.exit_code, transcript.close_code) == (None, 1011), transcript.messages
    wait_until(lambda: not api.inspect_container(server.container)["State"]["Running"])
    api.start(server.container)
    assert_works(server)


# The server's machine


@contextlib.contextmanager
def small_disk(folder, size):
    """A small file system that can be filled. Raises CalledProcessError if mounting is not permitted."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", folder], check=True, timeout=10)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=10)


@contextlib.contextmanager
def full(folder):
    """Fill the folder's file system for the duration of the block."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):  # the second size fills a page that is partly used
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    try:
        yield
    finally:
        filler.unlink()


def free_descriptors(server, limit):
    return limit - len(os.listdir(f"/proc/{server.process.pid}/fd"))


@contextlib.contextmanager
def few_descriptors(server, limit, left=0):
    """Leave the server, whose limit is *limit* descriptors, at most *left* free ones during the block."""
    socks = []
    try:
        while (more := free_descriptors(server, limit) - left) > 0:
            socks += [connect(server) for _ in range(more)]
            wait_until(lambda: not free_descriptors(server, limit) or not waiting_to_be_accepted(server))
        yield
    finally:
        for sock in socks:
            sock.close()


def waiting_to_be_accepted(server):
    """Return how many connections the kernel has completed but the server has not accepted (proc_net_tcp: rx_queue)."""
    port = f":{int(server.url.split(':')[2].split('/')[0]):04X}"
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(port) and fields[3] == "0A":
            return int(fields[4].split(":")[1], 16)
    raise AssertionError("the server does not listen")
