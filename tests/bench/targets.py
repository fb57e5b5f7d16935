"""The targets to measure.

These are this server, with the load generator and with its own client; the original; the docker command; and the
engine's own stream.
"""

import json
import os
import pathlib
import resource
import secrets
import subprocess
import sys

from tests.bench.engine_load import CliSession, EngineConnection, RawSession
from tests.bench.load import LibrarySession, WebSocketSession
from tests.npm import install_packages

INTEROP = pathlib.Path(__file__).parent.parent / "interop"
IMAGE = "dockerexec-ws-demo:1"
LABEL = "dockerexec-ws.test"
MAX_SESSIONS = 1000

_TICK = os.sysconf("SC_CLK_TCK")


class Target:
    """A way to reach a process. Each has its own container, because the original leaves processes behind."""

    name = ""

    def __init__(self, api):
        self.api = api

    def __enter__(self):
        self.container = f"dockerexec-ws-bench-{secrets.token_hex(4)}"
        host_config = self.api.create_host_config(network_mode="none")
        self.api.create_container(IMAGE, name=self.container, labels={LABEL: "1"}, host_config=host_config)
        self.api.start(self.container)
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.api.remove_container(self.container, force=True)

    def start(self):
        """Start the server, if there is one."""

    def stop(self):
        """Stop the server, if there is one."""

    def clean(self):
        """End the processes that a trial left in the container."""
        exec_id = self.api.exec_create(self.container, ["bash", "-c", "kill -9 -1"])["Id"]
        self.api.exec_start(exec_id)

    def cpu(self):
        """Return the CPU seconds used so far, without the engine's; None if only the engine takes part."""

    def open(self, argv):
        """Run a command; return a Session."""
        raise NotImplementedError


class Server(Target):
    """A target with a server process."""

    def command(self):
        """Return the server's argv and environment."""
        raise NotImplementedError

    def url_of(self, line):
        """Return the server's URL, from its first line on stdout."""
        raise NotImplementedError

    def start(self):
        argv, environment = self.command()
        self._process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | environment
        )
        self._url = self.url_of(self._process.stdout.readline())

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def open(self, argv):
        return WebSocketSession(self._url, argv)

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self):
        """Return the resident bytes now, and their peak so far."""
        lines = pathlib.Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return int(sizes["VmRSS"].split()[0]) * 1024, int(sizes["VmHWM"].split()[0]) * 1024


class Here(Server):
    name = "here"

    def command(self):
        options = {"container": self.container, "port": 0, "path": "x", "max-sessions": MAX_SESSIONS}
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return [sys.executable, "-m", "dockerexec_ws", *arguments], {}

    def url_of(self, line):
        return line.split()[-1]


class Library(Here):
    """This server, with its own Python client."""

    name = "python client"

    def open(self, argv):
        return LibrarySession(self._url, argv)


class Original(Server):
    name = "original"

    def command(self):
        options = {
            "containerId": self.container,
            "path": "/x",
            "dockerSocket": _socket_path(),
            "maxSessions": MAX_SESSIONS,
        }
        packages = install_packages(INTEROP)
        return ["node", str(INTEROP / "original_server.js"), json.dumps(options)], {"NODE_PATH": str(packages)}

    def url_of(self, line):
        return f"ws://127.0.0.1:{json.loads(line)['port']}/x"


class Cli(Target):
    name = "docker exec"

    def open(self, argv):
        return CliSession(os.environ["DOCKER_HOST"], self.container, argv)

    def cpu(self):
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime


class Raw(Target):
    name = "engine"

    def start(self):
        self._engine = EngineConnection(os.environ["DOCKER_HOST"])

    def open(self, argv):
        return RawSession(self._engine, self.container, argv)


def _socket_path():
    return os.environ["DOCKER_HOST"].removeprefix("unix://")


ALL = [Here, Library, Original, Cli, Raw]
