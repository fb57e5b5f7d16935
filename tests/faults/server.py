"""Run the command line in a separate process that reports what it holds.

Usage: ``python -m tests.faults.server [--no-host-processes] [--descriptors N] OPTIONS``. OPTIONS are those of the
command line. The process answers each line on stdin with a line of JSON on stdout. The answer to ``census`` is what a
Census counts in the process. The answer to ``exited`` lists the last argument of each session whose exit code is known.
At the end of stdin the server gets SIGTERM.
"""

from gevent import monkey

monkey.patch_all()

import argparse
import ctypes
import gc
import json
import os
import pathlib
import resource
import signal
import sys

import gevent
from gevent.fileobject import FileObject
from greenlet import greenlet

from dockerexec_ws import cli
from dockerexec_ws.engine.kill.host import HostProcesses


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--no-host-processes", action="store_true", help="end processes by the script, as if not root")
    parser.add_argument("--descriptors", type=int, help="how many the process may have")
    ours, theirs = parser.parse_known_args()
    if ours.no_host_processes:
        HostProcesses.of = classmethod(lambda cls, container: None)
    if ours.descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ours.descriptors, ours.descriptors))
    made = []
    make = cli.DockerExecServer

    def make_and_keep(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]

    cli.DockerExecServer = make_and_keep
    answering = gevent.spawn(answer, made)
    cli.command(theirs, standalone_mode=False)
    answering.kill()


def answer(made):
    for line in FileObject(0, "r", closefd=False):
        told = count(made[0]) if line == "census\n" else exited(made[0])
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)


def count(server):
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    statm = pathlib.Path("/proc/self/statm").read_text().split()
    return {
        "sessions": len(server.sessions),
        "greenlets": live_greenlets(),
        "descriptors": len(os.listdir("/proc/self/fd")) - kept_connections(server),
        "memory": int(statm[1]) * resource.getpagesize(),
    }


def live_greenlets():
    """The number of greenlets of this thread; those of the thread pool stay."""
    root = gevent.get_hub().parent
    live = 0
    for found in gc.get_objects():
        if issubclass(type(found), greenlet) and found:
            while found.parent is not None:
                found = found.parent
            live += found is root
    return live


def kept_connections(server):
    """The number of idle connections to the engine. There are at most max_sessions, so they are not a leak."""
    engine = server._app._backend.engine
    adapter = engine.api.get_adapter("http+docker://")
    pools = [engine._requests._pool, *(adapter.pools[key] for key in adapter.pools.keys())]  # noqa: SIM118  # no dict
    connections = [connection for pool in pools for connection in pool.pool.queue]
    return sum(connection is not None and connection.sock is not None for connection in connections)


def exited(server):
    return [session.argv[-1] for session in server.sessions if session.exit_code is not None]


if __name__ == "__main__":
    main()
