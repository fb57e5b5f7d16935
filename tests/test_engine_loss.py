"""The engine goes away under a server, and comes back: these tests kill a private engine."""

import gc
import os
import signal
import subprocess
import sys
import time
import warnings

import gevent
import pytest

from dockerexec_ws import DockerExecServer
from dockerexec_ws.protocol.v1 import Code
from tests.conftest import ROOT, wait_until
from tests.peer import Peer
from tests.private_engine import NAME, command_lines, private_engine

# docker-py leaks the unix socket if connect() fails. It is collected here, where the warning is no error.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

# Seconds within which every session is told.
BOUND = 10.0


@pytest.fixture(autouse=True)
def _collect_garbage(caplog):
    yield
    for phase in ("setup", "call", "teardown"):
        caplog.get_records(phase).clear()  # logged errors keep the socket alive
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def module_engine():
    with private_engine() as engine:
        yield engine


@pytest.fixture
def engine(module_engine):
    module_engine.up()
    return module_engine


@pytest.fixture
def server(engine):
    with DockerExecServer(NAME, port=0, path="x", docker_host=engine.address, ping_interval=0) as server:
        yield server


def assert_told(peer):
    """Check that the session ends with a message that the engine is gone, and without an exit code."""
    peer.timeout = BOUND
    transcript = peer.transcript()
    assert [message for message in transcript.messages if message[0] == Code.STOPPED] == []
    (text,) = transcript.errors
    assert "engine" in text.lower()
    assert "/" not in text  # it reveals no path
    assert transcript.close_code == 1011
    return transcript


def assert_works(server):
    transcript = Peer(server.url, "echo", "it works").transcript()
    assert transcript.stdout == b"it works\n"
    assert transcript.exit_code == 0
    assert transcript.close_code == 1000


@pytest.mark.parametrize("killed", [["dockerd ", "containerd "], ["containerd ", "dockerd "]])
def test_killed_in_mid_stream(engine, server, killed):
    writing = Peer(server.url, "yes").ready()
    writing.until(b"y\n")
    terminal = Peer(server.url, "yes", tty=True).ready()
    terminal.until(b"y\r\n")
    silent = Peer(server.url, "sleep", "600").ready()
    echoing = Peer(server.url, "cat").ready()
    echoing.stdin(b"before\n")
    assert echoing.until(b"\n") == b"before\n"
    peers = [writing, terminal, silent, echoing]

    left = {
        int(pid)
        for pid, name in map(str.split, engine.docker("top", NAME, "axo", "pid,comm").splitlines())
        if name == "yes"
    }
    assert len(left) == 2
    engine.kill(*killed)
    for peer in peers:
        assert_told(peer)
    wait_until(lambda: server.sessions == [])

    # A new session is told, too. The server stays up.
    assert_told(Peer(server.url, "echo"))
    engine.up()
    assert_works(server)
    # Processes that the killer could not end went with the container.
    assert not [line for pid, line in command_lines().items() if pid in left and line.startswith("yes")]


def test_killed_while_nothing_of_the_output_is_read(engine, server):
    """The server does not wait until a peer reads the output that it holds. The output arrives once the peer reads."""
    peer = Peer(server.url, "yes", receive_buffer=4096).ready()
    (session,) = server.sessions
    wait_until(lambda: not session._output.buffer.room)
    engine.kill("dockerd ", "containerd ")
    assert assert_told(peer).stdout.startswith(b"y\ny\n")
    wait_until(lambda: server.sessions == [])


def test_killed_while_stdin_is_stalled(engine, server):
    peer = Peer(server.url, "sleep", "600").ready()
    (session,) = server.sessions
    for _ in range(4):
        peer.stdin(bytes(1024 * 1024))
    wait_until(lambda: session._flow.stdin_pending > 1024 * 1024)
    engine.kill("dockerd ", "containerd ")
    assert_told(peer)
    wait_until(lambda: server.sessions == [])


def test_stopped_before_a_session(engine, server):
    assert_works(server)
    engine.down()
    for tty in (False, True):
        assert_told(Peer(server.url, "echo", tty=tty))
    wait_until(lambda: server.sessions == [])
    engine.up()
    assert_works(server)


def test_an_orderly_end_in_mid_stream(engine, server):
    """The engine ends the container's processes and may still report it: the exit code is a signal's, or missing."""
    peer = Peer(server.url, "yes").ready()
    peer.until(b"y\n")
    with engine.running("down") as down:
        peer.timeout = BOUND
        transcript = peer.transcript()
        assert down.wait(timeout=30) == 0
    if transcript.close_code == 1000:
        assert transcript.exit_code == 137
    else:
        assert (transcript.exit_code, transcript.close_code) == (None, 1011)
        assert len(transcript.errors) == 1


@pytest.fixture
def hanging(engine):
    """A function that freezes the engine's daemon with SIGSTOP; the daemon continues at the end."""
    (daemon,) = engine.processes("dockerd ")
    try:
        yield lambda: os.kill(daemon, signal.SIGSTOP)
    finally:
        os.kill(daemon, signal.SIGCONT)


def test_an_engine_too_slow_to_answer(engine, hanging):
    """A new client is told within the deadline. A running session waits, and continues when the engine does."""
    with DockerExecServer(NAME, port=0, path="x", docker_host=engine.address, engine_timeout=1.5) as server:
        waiting = Peer(server.url, "bash", "-c", "read line; echo $line; exit 3").ready()
        leaving = Peer(server.url, "bash", "-c", "trap '' HUP; echo up; sleep 1000").ready()
        leaving.until(b"up")
        hanging()
        begin = time.monotonic()
        transcript = Peer(server.url, "echo").transcript()
        assert 1.4 < time.monotonic() - begin < 3
        assert transcript.errors == ["the Docker Engine did not answer within 1.5 s"]
        assert transcript.close_code == 1011
        leaving.vanish()
        wait_until(lambda: len(server.sessions) == 1)  # the killer cannot do more now
        assert server.kill_failures == 1
        waiting.stdin(b"hello\n")
        (daemon,) = engine.processes("dockerd ")
        os.kill(daemon, signal.SIGCONT)
        transcript = waiting.transcript()
        assert (transcript.stdout, transcript.exit_code) == (b"hello\n", 3)
        # The killer tries again, and succeeds by now.
        wait_until(lambda: "sleep 1000" not in engine.docker("top", NAME, "axo", "pid,args"))
        assert_works(server)


def test_a_hanging_engine_does_not_hold_up_the_servers_end(engine, hanging):
    arguments = [sys.executable, "-m", "dockerexec_ws", "--container", NAME, "--port", "0"]
    with subprocess.Popen(
        arguments, env=os.environ | {"DOCKER_HOST": engine.address}, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        peer = Peer(process.stdout.readline().split()[-1], "bash", "-c", "echo up; sleep 1000").ready()
        peer.until(b"up\n")
        hanging()
        process.terminate()
        assert peer.transcript().messages == [b"\xc9"]
        # It takes 3.8 s on a quiet machine. Waiting for the engine's timeout would take 30 s.
        assert process.wait(timeout=15) == 0


def test_stopped_and_started_again_in_mid_session(engine, server):
    peer = Peer(server.url, "cat").ready()
    peer.stdin(b"before\n")
    peer.until(b"before\n")
    engine.down()
    engine.up()
    transcript = peer.transcript()
    if transcript.close_code == 1000:
        assert transcript.exit_code == 137
    else:
        assert (transcript.exit_code, transcript.close_code) == (None, 1011)
    assert_works(server)


def test_the_server_ends_while_the_engine_is_gone(engine, server):
    peer = Peer(server.url, "sleep", "600").ready()
    engine.kill("dockerd ", "containerd ")
    server.close()
    transcript = peer.transcript()  # the session may see either of the two first
    assert transcript.exit_code is None
    assert transcript.close_code in (1001, 1011)
    assert server.sessions == []


def test_the_engines_machine_vanishes(serve, cable, docker_host, own_container):
    """The machine sends nothing, not even an end of the connection. No request is pending that could time out."""
    arguments = ["ip", "netns", "exec", cable, sys.executable, "-m", "tests.relay", "10.231.7.2"]
    with subprocess.Popen(
        [*arguments, docker_host.removeprefix("unix://")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as relay:
        try:
            server = serve(own_container, docker_host=relay.stdout.readline().strip(), engine_timeout=3)
            silent = Peer(server.url, "sleep", "1000").ready()
            gevent.sleep(4)  # longer than the deadline: while the machine is there, a session may be silent
            assert len(server.sessions) == 1
            subprocess.run(["ip", "-n", cable, "link", "set", f"{cable}1", "down"], check=True)
            assert_told(silent)
        finally:
            relay.kill()
