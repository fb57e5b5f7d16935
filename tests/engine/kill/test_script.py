"""The script's runs in a hostile container."""

from dockerexec_ws.engine.kill.script import KillScript
from tests.standin import frame

ALLOWED = 33  # the first run, and 32 as other users


class Liar:
    """An engine whose container names new users in each report."""

    timeout = 10

    def __init__(self):
        self.runs = 0

    def create_exec(self, *_, **__):
        self.runs += 1
        return "exec"

    def start_exec(self, *_, **__):
        users = " ".join(f"{self.runs}{number:02}:1" for number in range(39))
        return Stream(frame(1, f"users 0:0 {users}\nseen\nleft 0\n".encode()))


class Stream:
    def __init__(self, data):
        self._data = data

    def read(self):
        data, self._data = self._data, b""
        return memoryview(data)

    def close(self):
        pass


def test_ever_more_users_bring_no_more_runs():
    engine = Liar()
    assert KillScript(engine, "c", ["A=1"], grace=0, patience=0).run() == (0, set())
    assert engine.runs <= ALLOWED
