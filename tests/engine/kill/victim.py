"""A process to end, and checks of what is left of it."""

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.host import HostProcesses
from tests.conftest import processes, wait_until


class Victim:
    def __init__(self, engine, container, argv):
        self.container = container
        self.marker = Instance.unregistered().new_marker()
        self.process = Exec(engine, container, argv, tty=False, marker=self.marker)
        self.process.start()

    def up(self):
        """Wait for its first output."""
        data = bytes(self.process.read())
        assert data
        return data[8:].decode()

    def end(self, killer):
        return killer.end(self.container, self.marker, self.process)


def assert_left(api, container, expected):
    """Only these processes are left. The script that ends others has reported, but may still be about to exit."""
    wait_until(lambda: processes(api, container) == expected)


TREE = "trap '' HUP TERM; setsid sleep 1000 & sleep 1000 & (sleep 1000 & sleep 1000) & cat /dev/zero"


def without_host_processes(monkeypatch):
    """The same as with an engine on another machine, or a server that does not run as root."""
    monkeypatch.setattr(HostProcesses, "of", lambda container: None)
