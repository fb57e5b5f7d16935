"""A private engine that tests may stop and kill."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "bin/engine"
NAME = "servertest"


class PrivateEngine:
    """An engine in a separate folder, run by bin/engine. Nothing runs before ``up``."""

    def __init__(self, folder):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))  # short: see bin/engine
        self.address = f"unix://{self.folder}/docker.sock"
        # TMPDIR: files that a killed run leaves are removed with the folder.
        self.environment = os.environ | {"DOCKEREXEC_WS_ENGINE_HOME": str(self.folder), "TMPDIR": str(self.folder)}

    def run(self, command):
        return subprocess.run(
            [SCRIPT, command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=45,
        )

    @contextlib.contextmanager
    def running(self, command):
        """Run the command in a separate process group, which is killed at the end."""
        with (self.folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [SCRIPT, command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def up(self):
        """Start everything; return the messages on stderr."""
        done = self.run("up")
        assert (done.returncode, done.stdout) == (0, f"{self.address}\n"), done.stderr
        return done.stderr

    def down(self):
        done = self.run("down")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr

    def docker(self, *words):
        done = subprocess.run(
            ["docker", "-H", self.address, *words], capture_output=True, text=True, check=True, timeout=45
        )
        return done.stdout.strip()

    def processes(self, program=""):
        """The pids of the processes that have the folder's path and *program* in their command lines."""
        return {pid for pid, line in command_lines().items() if str(self.folder) in line and program in line}

    def kill(self, *programs):
        for program in programs:
            for pid in self.processes(program):
                with contextlib.suppress(ProcessLookupError):  # containerd ends with its dockerd
                    os.kill(pid, signal.SIGKILL)

    def works(self):
        """Whether exactly one daemon runs, and the demo container runs commands."""
        (_daemon,) = self.processes("dockerd ")
        return self.docker("exec", NAME, "echo", "it works") == "it works"

    def remove(self):
        """Remove everything, whatever state the engine is in."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run("down")
        self.kill("")
        # A killed dockerd leaves its mounts. Its data folder, mounted on itself, stays even after a later clean stop.
        mounted = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        for target in reversed([target for target in mounted if target.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", target], check=True, timeout=10)
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def private_engine(folder="/tmp"):
    """A PrivateEngine in *folder*, removed at the end. Skips the test if an engine cannot be started."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to start an engine")
    engine = PrivateEngine(folder)
    try:
        yield engine
    finally:
        engine.remove()


def command_lines():
    lines = {}
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # the process has ended
            lines[int(file.parent.name)] = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return lines
