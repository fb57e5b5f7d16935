"""Reading an exec's output to its end, on a stand-in, because a real engine's timing cannot be controlled."""

import time

import gevent
import pytest

from dockerexec_ws.engine import output_reader as output_module
from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.output_reader import AFTER_EXIT, read_output
from dockerexec_ws.errors import EngineUnavailableError
from dockerexec_ws.protocol.events import Stream
from tests.standin import StandInEngine, frame

ENDED = {"Running": False, "ExitCode": 3, "Pid": 1}
RUNNING = {"Running": True, "ExitCode": None, "Pid": 1}


class Reader:
    """Has room for *limit* bytes; *more* bytes of it are freed every millisecond."""

    def __init__(self, limit, more=0):
        self.room = limit
        self.more = more
        self.waits = 0

    def wait_for_room(self, timeout):
        self.waits += 1
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            gevent.sleep(0.001)
            self.room += self.more
            if self.room:
                return True
        return False

    def read(self, process):
        """Read to the end; return the output."""
        output = bytearray()  # a bytes object would be copied at each read
        for code, parts in read_output(process, self, 4096):
            assert code is Stream.STDOUT
            data = b"".join(parts)
            output += data
            self.room = max(self.room - len(data), 0)
        return output


@pytest.fixture
def exec_of(tmp_path):
    """A function that returns an exec with the given stream and states, and its engine."""
    started = []

    def exec_of(stream, states, timeout=5):
        standin = StandInEngine(tmp_path / "s", stream=stream, states=states)
        standin.__enter__()
        process = Exec(Engine(standin.address, timeout=timeout), "c", ["x"], tty=False, marker="A=b")
        process.start()
        started.append((process, standin))
        return process, standin

    yield exec_of
    for process, standin in started:
        process.close()
        standin.__exit__()


def asked(standin):
    return standin.requests.count("GET /exec/e0/json")


def test_nobody_is_asked_while_there_is_room(exec_of):
    process, standin = exec_of(frame(1, bytes(100_000)), [ENDED])
    assert Reader(1_000_000).read(process) == bytes(100_000)
    assert asked(standin) == 0


def test_what_an_ended_process_left_is_taken_at_once(exec_of):
    process, standin = exec_of(frame(1, bytes(100_000)), [RUNNING, ENDED])
    begin = time.monotonic()
    assert Reader(10_000).read(process) == bytes(100_000)
    assert 0.4 < time.monotonic() - begin < 1.5
    assert asked(standin) == 2


def test_a_reader_that_is_slow_but_steady_is_no_reason_not_to_ask(exec_of):
    """The reader keeps making room, but is too slow for the 2 s that the engine allows."""
    process, standin = exec_of(frame(1, bytes(2_000_000)), [RUNNING, ENDED])
    begin = time.monotonic()
    assert Reader(1000, more=100).read(process) == bytes(2_000_000)  # at 100 KB a second
    assert time.monotonic() - begin < 2
    assert asked(standin) == 2


def test_a_process_that_runs_is_asked_after_every_half_second_at_most(exec_of):
    process, standin = exec_of(frame(1, bytes(30_000)), [RUNNING])
    begin = time.monotonic()
    assert Reader(1000, more=10).read(process) == bytes(30_000)
    assert asked(standin) <= (time.monotonic() - begin) / 0.5 + 1


def test_more_than_the_bound_after_the_exit_is_a_background_childs(exec_of):
    stream = frame(1, bytes(1_000_000)) * 25
    process, _ = exec_of(stream, [ENDED])
    assert AFTER_EXIT <= len(Reader(1000).read(process)) < AFTER_EXIT + 10_000


def test_an_engine_that_tells_of_the_end_too_late_may_have_dropped_output(exec_of, monkeypatch):
    monkeypatch.setattr(output_module, "DROPPED_AFTER", 0.7)
    process, standin = exec_of(frame(1, bytes(100_000)), [ENDED], timeout=1)
    standin.hang_on = "/json"
    gevent.spawn_later(1.5, setattr, standin, "hang_on", None)
    with pytest.raises(EngineUnavailableError, match="may be lost"):
        Reader(1000).read(process)
