"""Count what a server process and its container hold before and after a fault."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import docker
import gevent
from gevent.lock import BoundedSemaphore

from tests.conftest import ROOT, TIMEOUT, processes, uncovered, wait_until
from tests.faults.scenarios import random_cuts
from tests.peer import Peer

MEMORY_BOUND = 16 * 1024 * 1024
"""Bytes that the server may have grown by: the allocator keeps what is in pieces, and a first load is always dearer."""

RETRIED = 35.0
"""Seconds after which all is over that the killer could not do at once: it tries again after at most 30."""

_SAMPLES = 5
_SHOWN = 4000  # characters of a log


class ServerProcess:
    """dockerexec-ws, run by tests.faults.server. Its log goes to the file *log* and may contain no traceback."""

    def __init__(self, container, docker_host, *arguments, log, descriptors=None):
        self.container = container
        self.log = log
        self._asking = BoundedSemaphore()
        kept = {name: value for name, value in uncovered().items() if not name.startswith("DOCKER")}
        kept["DOCKEREXEC_WS_STATE_DIR"] = os.environ["DOCKEREXEC_WS_STATE_DIR"]
        if descriptors is not None:
            arguments = (*arguments, "--descriptors", descriptors)
        options = ["--container", container, "--docker-host", docker_host, "--port", "0", "--path", "x"]
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.server", *options, *map(str, arguments)],
                env=kept,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,  # a Ctrl-C must not reach it
            )
        line = self.process.stdout.readline()
        assert line.startswith("listening on ws://"), self.logged()[-_SHOWN:]
        self.url = line.removeprefix("listening on ").strip()

    def logged(self):
        """Return the whole log."""
        return self.log.read_text(errors="replace")

    def ask(self, what):
        with self._asking:
            self.process.stdin.write(f"{what}\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def close(self):
        """Stop the server and check that it ends cleanly."""
        try:
            self.process.stdin.close()
            code = self.process.wait(timeout=10 * TIMEOUT / 60)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        assert code == 0, self.logged()[-_SHOWN:]
        assert_no_traceback(self.logged())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
        if self.process.poll() is None:
            self.close()


def assert_no_traceback(text):
    assert "Traceback" not in text, text[max(text.index("Traceback") - 300, 0) :][:_SHOWN]


@dataclass(frozen=True)
class Census:
    """Counts of the things that must not be left behind.

    *execs* and *processes* are the container's, *memory* is in bytes. *unstarted* counts execs that the engine was told
    to create but not to start: it has no way to remove them.
    """

    sessions: int
    greenlets: int
    descriptors: int
    execs: int
    unstarted: int
    processes: int
    memory: int

    @classmethod
    def of(cls, server, api):
        states = [exec_state(api, exec_id) for exec_id in api.inspect_container(server.container)["ExecIDs"] or []]
        unstarted = sum(state is not None and not state["Pid"] and state["ExitCode"] is None for state in states)
        return cls(
            execs=len(states) - states.count(None) - unstarted,
            unstarted=unstarted,
            processes=len(processes(api, server.container)),
            **server.ask("census"),
        )

    @classmethod
    def at_rest(cls, server, api):
        """Take several counts and return the lowest, to ignore what a bystander's messages use for a moment."""
        counts = [asdict(cls.of(server, api)) for _ in range(_SAMPLES)]
        return cls(**{name: min(count[name] for count in counts) for name in counts[0]})

    def excess(self, before, unstarted=0):
        """Return the counts that exceed *before*, allowing for *unstarted* more unstarted execs."""
        bounds = asdict(before)
        bounds["memory"] += MEMORY_BOUND
        bounds["unstarted"] += unstarted
        return {name: (bounds[name], count) for name, count in asdict(self).items() if count > bounds[name]}


def exec_state(api, exec_id):
    try:
        return api.exec_inspect(exec_id)
    except docker.errors.NotFound:  # it has just ended
        return None


def wait_until_back(server, api, before, timeout=10.0, unstarted=0):
    """Wait until nothing exceeds *before*; return that Census."""
    deadline = time.monotonic() + timeout * TIMEOUT / 60
    while (excess := (now := Census.of(server, api)).excess(before, unstarted)) and time.monotonic() < deadline:
        gevent.sleep(0.1)
    left = ""
    if excess:
        with contextlib.suppress(Exception):  # this only adds to the message
            left = f": {processes(api, server.container)}"
    assert not excess, f"before and now, after {timeout} s: {excess}{left}"
    return now


def warm_up(server, api):
    """Make the server create everything that it creates only once; return the Census at rest."""
    random_cuts(server, random.Random(1), 20)
    assert Peer(server.url, "true").transcript().exit_code == 0
    wait_until(lambda: is_empty(Census.of(server, api)), timeout=10)
    return Census.at_rest(server, api)


def is_empty(census):
    return (census.sessions, census.execs, census.processes) == (0, 0, 0)


@contextlib.contextmanager
def nothing_left(server, api, timeout=10.0, unstarted=0):
    """Check that within *timeout* seconds of the block no more is left than before, except *unstarted* execs."""
    before = warm_up(server, api)
    yield
    after = wait_until_back(server, api, before, timeout, unstarted)
    sys.stdout.write(f"before {before}\nafter  {after}\n")
