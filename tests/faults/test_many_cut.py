"""60 sessions of all kinds are cut off without a close frame: their processes end in time, and the engine goes idle."""

import contextlib
import os
import pathlib
import sys
import time

import gevent
import pytest

from tests.conftest import TIMEOUT, wait_until
from tests.faults.bystander import Bystander
from tests.faults.census import nothing_left
from tests.peer import Peer
from tests.private_engine import NAME

pytestmark = pytest.mark.alone  # it measures how soon processes end

GRACE = 0.5  # the server's default
BOUND = GRACE + 1.0 * TIMEOUT / 60
IDLE = 0.2  # share of a core
_MARK = b"FAULTS_SESSION="

COMMANDS = [
    ("yes", False),
    ("cat /dev/zero", False),
    ("yes", True),
    ("exec sleep 600", False),
    ("sleep 600", True),
    ("trap '' HUP INT TERM; while :; do sleep 1; done", False),
    ("trap '' HUP INT TERM QUIT TSTP; while :; do sleep 1; done", True),
    ("setsid sh -c 'trap \"\" HUP TERM; sleep 600' & setsid sleep 600 & wait", False),
    ("setsid yes & sleep 600", True),
    ("trap 'sleep 600 & sleep 600' HUP; sleep 600 & wait", False),
]


def pids_of(container_pid):
    """The host pids of the processes in a container's control group."""
    for line in pathlib.Path(f"/proc/{container_pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for folder in (controllers.removeprefix("name="), "unified", ""):
            file = pathlib.Path(f"/sys/fs/cgroup/{folder}{path}/cgroup.procs")
            if path != "/" and file.exists():
                return file.read_text().split()
    raise AssertionError("no control group of the container's")


def alive(container_pid):
    """Map each session's number to the number of its processes."""
    count = {}
    for pid in pids_of(container_pid):
        with contextlib.suppress(OSError):  # it has ended
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            if _MARK in environment:
                number = int(environment.partition(_MARK)[2].partition(b"\0")[0])
                count[number] = count.get(number, 0) + 1
    return count


def cpu_share(pids, seconds=1.0):
    """The share of a core that the processes use."""
    before, begin = cpu_time(pids), time.monotonic()
    gevent.sleep(seconds)
    return (cpu_time(pids) - before) / (time.monotonic() - begin)


def cpu_time(pids):
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cut_off(peers, cut, moments):
    """Make each peer vanish at its moment, in seconds from now; record the times in *cut*."""
    begin = time.monotonic()
    for moment, number in sorted(zip(moments, range(len(peers)), strict=True)):
        gevent.sleep(max(begin + moment - time.monotonic(), 0))
        cut[number] = time.monotonic()
        peers[number].vanish()


@pytest.mark.parametrize("spread", [0.0, 1.0], ids=["at once", "within a second"])
@pytest.mark.parametrize("options", [[], ["--no-host-processes"]], ids=["on the host", "by the script"])
def test_60_sessions_are_cut_off(start, harmed, harmed_api, rng, options, spread):
    container_pid = harmed_api.inspect_container(NAME)["State"]["Pid"]
    server = start(NAME, *options, engine=harmed.address)
    with nothing_left(server, harmed_api):
        with Bystander(server.url) as bystander:
            peers = []
            for number in range(60):
                script, tty = COMMANDS[number % len(COMMANDS)]
                argv = ["env", f"{_MARK.decode()}{number}", "sh", "-c", script]
                peers.append(Peer(server.url, *argv, tty=tty, receive_buffer=4096).ready())
            wait_until(lambda: len(alive(container_pid)) == 60)

            cut = {}
            cutting = gevent.spawn(cut_off, peers, cut, [spread * rng.random() for _ in peers])
            seen, deadline = {}, time.monotonic() + 20 * TIMEOUT / 60
            while ((left := alive(container_pid)) or not cutting.ready()) and time.monotonic() < deadline:
                seen |= dict.fromkeys(left, time.monotonic())
                gevent.sleep(0.02)
            took = [max(seen.get(number, 0) - cut[number], 0) for number in range(60)]
            sys.stdout.write(f"{options} {spread}: 0 after {max(took):.2f} s, on average {sum(took) / 60:.2f} s, ")
            assert left == {}
        sys.stdout.write(f"longest echo of {bystander.lines} {bystander.longest_echo:.2f} s\n")
        share = wait_until(lambda: (share := cpu_share(harmed.processes("dockerd "))) < IDLE and (share,))
        sys.stdout.write(f"the engine then takes {share[0]:.2f} of a core\n")
    # The server ends processes in batches: a session that is cut during one batch waits for the next.
    assert max(took) < BOUND + spread
