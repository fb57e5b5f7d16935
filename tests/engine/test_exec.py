"""Execs on a real engine, and on a stand-in for what a real engine does not show."""

import time

import gevent
import pytest

from dockerexec_ws.engine import exec as exec_module
from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.timeouts import Waits
from dockerexec_ws.errors import EngineError, EngineUnavailableError
from dockerexec_ws.protocol.engine_framing import StreamDemultiplexer
from dockerexec_ws.protocol.events import Stream
from tests.standin import StandInEngine, frame

ENDED = {"Running": False, "ExitCode": 3, "Pid": 1}
RUNNING = {"Running": True, "ExitCode": None, "Pid": 1}
UNKNOWN = {"Running": False, "ExitCode": None, "Pid": 1}


@pytest.fixture
def engine(docker_host):
    return Engine(docker_host, timeout=30)


def started(engine, container, *argv, tty=False, marker=None):
    process = Exec(engine, container, argv, tty=tty, marker=marker or Instance.unregistered().new_marker())
    process.start()
    return process


def read_all(process):
    data = b""
    while piece := process.read():
        data += piece
    return data


def test_no_byte_that_comes_with_the_head_is_lost(tmp_path):
    stream = frame(1, b"first") + frame(2, b"second")
    with StandInEngine(tmp_path / "s", stream=stream) as standin:
        process = started(Engine(standin.address, timeout=30), "c", "x")
        assert read_all(process) == stream
        process.close()


def test_exit_code_is_asked_for_until_it_is_known(tmp_path):
    """The stream may end before the engine reports the exit."""
    with StandInEngine(tmp_path / "s", states=[RUNNING, RUNNING, UNKNOWN, ENDED]) as standin:
        process = started(Engine(standin.address, timeout=30), "c", "x")
        assert process.exit_code() == 3
        process.close()
    assert standin.requests.count("GET /exec/e0/json") == 4


def test_exit_code_is_never_invented(tmp_path):
    with StandInEngine(tmp_path / "s", states=[UNKNOWN]) as standin:
        process = started(Engine(standin.address, timeout=0.3), "c", "x")
        with pytest.raises(EngineError, match="exit code"):
            process.exit_code()
        process.close()


def test_resize_is_tried_again_while_the_exec_is_about_to_start(tmp_path):
    with StandInEngine(tmp_path / "s", states=[RUNNING]) as standin:
        standin.resize_failures = 3
        process = started(Engine(standin.address, timeout=30), "c", "x", tty=True)
        process.resize(24, 80)
        process.close()
    assert standin.requests.count("POST /exec/e0/resize?h=24&w=80") == 4


def test_resize_gives_up_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(exec_module, "RESIZE_TIMEOUT", 0.2)
    with StandInEngine(tmp_path / "s", states=[RUNNING]) as standin:
        standin.resize_failures = 1000
        process = started(Engine(standin.address, timeout=30), "c", "x", tty=True)
        with pytest.raises(EngineError, match="cannot resize"):
            process.resize(24, 80)
        process.close()


def test_resize_of_an_ended_exec_is_nothing(tmp_path):
    with StandInEngine(tmp_path / "s", states=[ENDED]) as standin:
        standin.resize_failures = 1000
        process = started(Engine(standin.address, timeout=30), "c", "x", tty=True)
        process.resize(24, 80)
        process.close()


def test_an_idle_stream_has_no_timeout(tmp_path, docker_host, container):
    """docker-py sets its 60 s timeout for answers on the stream's socket, too."""
    engine = Engine(docker_host, timeout=1)
    process = started(engine, container, "bash", "-c", "sleep 2.5; echo late")
    begin = time.monotonic()
    ((code, parts),) = StreamDemultiplexer().feed(process.read())
    assert (code, b"".join(parts)) == (Stream.STDOUT, b"late\n")
    assert time.monotonic() - begin > 1.5
    assert process.exit_code() == 0
    process.close()


def test_a_hanging_engine_is_an_error_within_the_timeout(tmp_path):
    with StandInEngine(tmp_path / "s", hang_on="/exec") as standin:
        engine = Engine(standin.address, timeout=1)
        begin = time.monotonic()
        with pytest.raises(EngineUnavailableError):
            Exec(engine, "c", ["x"], tty=False, marker="A=b")
        assert time.monotonic() - begin < 5


def test_close_wakes_a_reader(tmp_path, engine, container):
    marker = Instance.unregistered().new_marker()
    process = started(engine, container, "sleep", "1000", marker=marker)

    def read():
        with pytest.raises(EngineUnavailableError):
            raise EngineUnavailableError if process.read() == b"" else AssertionError

    reader = gevent.spawn(read)
    gevent.idle()
    process.close()
    reader.get(timeout=10)
    assert Killer(engine, Waits(grace=0.5)).end(container, marker)


def test_state_of_a_command_that_cannot_be_run(engine, container):
    process = started(engine, container, "nosuch")
    assert b"not found" in read_all(process)
    assert process.state().never_started
    process.close()


def test_an_answer_that_makes_no_sense_is_an_error_of_the_engines(tmp_path):
    with StandInEngine(tmp_path / "s", states=[{}]) as standin:
        process = Exec(Engine(standin.address, timeout=1), "c", ["x"], tty=False, marker="A=b")
        with pytest.raises(EngineError, match="no sense"):
            process.state()
