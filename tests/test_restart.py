"""Servers that are killed, and the processes that their successors find."""

import contextlib
import os
import signal
import subprocess
import sys

import gevent
import pytest

from tests.conftest import ROOT, processes, uncovered, wait_until
from tests.peer import Peer

TREE = "trap '' HUP; setsid sleep 1000 & sleep 1000 & echo up; wait"


@contextlib.contextmanager
def running(*options, command=("-m", "dockerexec_ws"), **environment):
    """Run a server process; yield it and its URL, which is empty if the process prints none."""
    with subprocess.Popen(
        [sys.executable, *command, *options], env=uncovered() | environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.kill()


@pytest.fixture
def start(own_container, docker_host):
    with contextlib.ExitStack() as stack:

        def start(*options):
            arguments = ("--container", own_container, "--port", "0", "--path", "x", "--docker-host", docker_host)
            return stack.enter_context(running(*arguments, *options))

        yield start


def sessions(url, count=3):
    """Start sessions and return their peers."""
    peers = [Peer(url, "bash", "-c", TREE, tty=number % 2 == 1).ready() for number in range(count)]
    for peer in peers:
        peer.until(b"up")
    return peers


def kill(process):
    process.kill()
    process.wait()


def test_what_a_killed_server_left_ends_when_the_next_one_starts(start, own_container, docker_api, tmp_path):
    killed, url = start()
    sessions(url)
    kill(killed)
    gevent.sleep(1)
    assert len(processes(docker_api, own_container)) == 9  # no server is there to end them
    _, url = start()
    wait_until(lambda: processes(docker_api, own_container) == [])
    assert Peer(url, "echo", "hi").transcript().stdout == b"hi\n"
    wait_until(lambda: len(list((tmp_path / "state").iterdir())) == 1)  # the new server's own file


def test_a_living_servers_sessions_are_not_touched(start, own_container, docker_api):
    _, living = start()
    peers = sessions(living)
    killed, url = start()
    sessions(url)
    kill(killed)
    start()
    wait_until(lambda: len(processes(docker_api, own_container)) == 9)
    gevent.sleep(1)
    assert len(processes(docker_api, own_container)) == 9
    peers[0].stdin(b"")
    for peer in peers:
        peer.close()
    wait_until(lambda: processes(docker_api, own_container) == [])


def test_a_paused_container_is_waited_for(start, own_container, docker_api, tmp_path):
    killed, url = start()
    sessions(url, 1)
    kill(killed)
    docker_api.pause(own_container)
    second, _ = start()
    gevent.sleep(1)
    second.terminate()  # before it could end any process
    assert second.wait(timeout=20) == 0
    assert len(list((tmp_path / "state").iterdir())) == 1
    start()
    docker_api.unpause(own_container)
    wait_until(lambda: processes(docker_api, own_container) == [])


def test_what_was_left_on_purpose_is_left(start, own_container, docker_api):
    killed, url = start("--on-disconnect", "leave")
    sessions(url, 1)
    kill(killed)
    start()
    gevent.sleep(1)
    assert len(processes(docker_api, own_container)) == 3


def test_each_gunicorn_worker_is_one(own_container, docker_host, docker_api, tmp_path):
    """A killed worker is replaced. The new one ends the processes that it left, and none of its sibling's."""
    settings = {"DOCKEREXEC_WS_CONTAINER": own_container, "DOCKEREXEC_WS_PATH": "x", "DOCKER_HOST": docker_host}
    port = 20000 + os.getpid() % 10000
    arguments = ("-k", "gevent", "-w", "2", "-b", f"127.0.0.1:{port}", "--no-control-socket", "dockerexec_ws.wsgi:app")
    command = [sys.executable, "-m", "gunicorn", *arguments]
    state = tmp_path / "state"
    with subprocess.Popen(command, env=uncovered() | settings, cwd=ROOT, stderr=subprocess.DEVNULL) as gunicorn:
        try:
            wait_until(lambda: state.exists() and len(list(state.glob("*.instance"))) == 2, timeout=20)
            url = f"ws://127.0.0.1:{port}/x"
            peers = {}
            while len(peers) < 2:  # connect until each worker has a session
                peer = Peer(url, "bash", "-c", TREE).ready()
                peer.until(b"up")
                worker = worker_of(docker_api, own_container, gunicorn.pid, peer)
                if worker in peers:
                    peer.close()
                else:
                    peers[worker] = peer
            wait_until(lambda: len(processes(docker_api, own_container)) == 6)
            killed, living = peers
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: len(processes(docker_api, own_container)) == 3, timeout=10)
            gevent.sleep(1)
            assert len(processes(docker_api, own_container)) == 3
            peers[living].close()
            wait_until(lambda: processes(docker_api, own_container) == [])
            wait_until(lambda: len(list(state.iterdir())) == 2)  # the killed worker's file is gone
        finally:
            gunicorn.terminate()
            gunicorn.wait(timeout=20)
    assert list(state.iterdir()) == []


def worker_of(docker_api, container, gunicorn, peer):
    """Return the pid of the worker process that has the peer's connection."""
    # In the worker's row of the table the server's port comes first. Other connections may share one of the two ports.
    ports = [f"{end[1]:04X}" for end in (peer.socket.getpeername(), peer.socket.getsockname())]
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table]
    (inode,) = [row[9] for row in rows if [end.rpartition(":")[2] for end in row[1:3]] == ports]
    workers = subprocess.run(["pgrep", "-P", str(gunicorn)], capture_output=True, text=True, check=True).stdout.split()
    for worker in workers:
        for fd in os.listdir(f"/proc/{worker}/fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(f"/proc/{worker}/fd/{fd}") == f"socket:[{inode}]":
                    return int(worker)
    raise AssertionError("no worker has the connection")


def test_a_state_directory_that_cannot_be_used(own_container, docker_host, tmp_path):
    (tmp_path / "file").touch()
    arguments = ["--container", own_container, "--docker-host", docker_host, "--state-dir", tmp_path / "file" / "x"]
    done = subprocess.run(
        [sys.executable, "-m", "dockerexec_ws", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "--state-dir" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_default_directory_that_cannot_be_used_is_only_said(serve, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setattr("dockerexec_ws.web.backend.default_state_dir", lambda: tmp_path / "file" / "x")
    server = serve()
    assert "if this server is killed, no other server will end the processes of its sessions" in caplog.text
    assert Peer(server.url, "true").transcript().exit_code == 0
