"""The application under the real gunicorn, with the stock gevent worker and with gevent-websocket's."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.parse import urlsplit

import gevent
import pytest

from dockerexec_ws.web.gunicorn_worker import shortcomings
from tests.conftest import ROOT, needs_page, processes, wait_until
from tests.peer import HandshakeError, Peer, Transcript

STOCK = "gevent"
GEVENT_WEBSOCKET = "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"

both_workers = pytest.mark.parametrize("worker", [STOCK, GEVENT_WEBSOCKET])


class Gunicorn:
    def __init__(self, process, port, log):
        self.process = process
        self.url = f"ws://127.0.0.1:{port}/x"
        self.log = log


@pytest.fixture
def start(docker_host, container, tmp_path):
    with contextlib.ExitStack() as stack:

        def start(worker, *arguments, application="dockerexec_ws.wsgi:app", **environment):
            settings = {"DOCKEREXEC_WS_CONTAINER": container, "DOCKEREXEC_WS_PATH": "x", "DOCKER_HOST": docker_host}
            log = (tmp_path / "gunicorn.log").open("w+")
            stack.enter_context(log)
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "-k", worker, "-b", "127.0.0.1:0", "--graceful-timeout", "1"),
                    *("--no-control-socket", *arguments, application),
                ],
                env=os.environ | settings | environment,
                cwd=ROOT,
                stderr=log,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            with gevent.Timeout(20, AssertionError("gunicorn did not start")):
                while True:
                    text = (tmp_path / "gunicorn.log").read_text()
                    if (port := re.search(r"Listening at: http://127.0.0.1:(\d+)", text)) and "Booting" in text:
                        return Gunicorn(process, port[1], tmp_path / "gunicorn.log")
                    assert process.poll() is None, text
                    gevent.sleep(0.05)

        yield start


@both_workers
def test_a_session(start, worker):
    server = start(worker, "--access-logfile", "-", "--worker-connections", "9")
    with Peer(server.url, "cat", send_at_once=b"\x82\x86" + bytes(4) + b"\x00early").ready() as peer:
        peer.stdin(b" and late")
        peer.end()
        transcript = Transcript(peer)
    assert transcript.stdout == b"early and late"
    assert transcript.exit_code == 0
    assert transcript.close_code == 1000
    log = server.log.read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log.upper().replace("ERROR_LOG", "")
    warnings = [line for line in log.splitlines() if "WARNING" in line]
    assert len(warnings) == 2
    limit = 4094 if worker == STOCK else 8192
    assert f"request lines of more than {limit} bytes" in warnings[0]
    assert "-k gevent --limit-request-line 0." in warnings[0]
    assert "at most 9 connections in a worker, but max_sessions is 10" in warnings[1]
    assert "--worker-connections 10 " in warnings[1]


@both_workers
def test_much_both_ways(start, worker):
    server = start(worker)
    size = 20_000_000
    with Peer(server.url, "cat").ready() as peer:
        sender = gevent.spawn(lambda: [peer.stdin(bytes(500_000)) for _ in range(size // 500_000)] and peer.end())
        transcript = Transcript(peer)
        sender.get()
    assert transcript.stdout == bytes(size)
    assert transcript.exit_code == 0


@both_workers
def test_the_client_vanishes(start, worker, docker_api, container):
    server = start(worker)
    with Peer(server.url, "bash", "-c", "trap '' HUP; echo up; sleep 1000") as peer:
        peer.until(b"up")
    with gevent.Timeout(10, AssertionError("processes are left")):
        while processes(docker_api, container):
            gevent.sleep(0.05)
    assert "Traceback" not in server.log.read_text()


def test_refusals_by_the_stock_worker(start):
    server = start(STOCK, "--log-level", "debug")
    for options, status in (
        ({"headers": [("Origin", "http://evil.example")]}, 403),
        ({"headers": [("Sec-WebSocket-Version", "8")]}, 400),
    ):
        with pytest.raises(HandshakeError) as refused:
            Peer(server.url, "true", **options)
        assert refused.value.response.status_code in (status, 426)
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url + "y", "true")
    assert refused.value.response.status_code == 404
    assert "Traceback" not in server.log.read_text()


def test_refusals_by_gevent_websockets_worker_come_after_its_upgrade(start):
    server = start(GEVENT_WEBSOCKET)
    for url, headers in ((server.url, [("Origin", "http://evil.example")]), (server.url + "y", [])):
        with Peer(url, "true", headers=headers) as peer:
            transcript = Transcript(peer)
        assert len(transcript.errors) == 1
        assert transcript.close_code == 1008
    assert "Traceback" not in server.log.read_text()


@needs_page
@both_workers
def test_the_page(start, worker):
    server = start(worker)
    parts = urlsplit(server.url)
    with contextlib.closing(HTTPConnection(parts.hostname, parts.port, timeout=15)) as connection:
        for below, kind in (
            ("", "text/html"),
            ("/-/page.js", "text/javascript"),
            ("/-/policy.json", "application/json"),
        ):
            for method in ("HEAD", "GET"):
                connection.request(method, parts.path + below)
                response = connection.getresponse()
                assert response.status == 200
                assert response.getheader("Content-Type").startswith(kind)
                assert bool(response.read()) == (method == "GET")
        connection.request("GET", parts.path + "/-/page.js", headers={"If-None-Match": "*"})
        response = connection.getresponse()
        assert (response.status, response.read()) == (304, b"")
    with Peer(server.url, "true") as peer:
        assert Transcript(peer).exit_code == 0
    assert "Traceback" not in server.log.read_text()


@both_workers
def test_the_session_limit(start, worker):
    server = start(worker, DOCKEREXEC_WS_MAX_SESSIONS="1")
    with Peer(server.url, "cat").ready() as peer:
        other = Transcript(Peer(server.url, "cat"))
        assert other.errors == ["Too many sessions active!"]
        assert other.close_code == 1013
        peer.end()
        assert Transcript(peer).exit_code == 0


@both_workers
def test_sigterm_tells_the_clients_and_ends_their_processes(start, worker, docker_api, container):
    server = start(worker)
    with Peer(server.url, "bash", "-c", "echo up; sleep 1000") as peer:
        peer.until(b"up")
        server.process.send_signal(signal.SIGTERM)
        transcript = Transcript(peer)
    assert transcript.messages == [b"\xc9"]
    assert transcript.close_code == 1001
    with gevent.Timeout(10, AssertionError("processes are left")):
        while processes(docker_api, container):
            gevent.sleep(0.05)
    assert server.process.wait(timeout=10) == 0


def test_a_worker_that_has_served_its_requests_leaves_nothing(start, docker_api, container):
    """The worker ends its long session cleanly. Its successor has nothing to end, and logs no warning."""
    server = start(STOCK, "--max-requests", "2", "--limit-request-line", "0", DOCKEREXEC_WS_MAX_SESSIONS="1000")
    with Peer(server.url, "bash", "-c", "trap '' HUP; echo up; sleep 1000") as peer:
        peer.until(b"up")
        assert Transcript(Peer(server.url, "true", "x" * 20_000)).exit_code == 0
        transcript = Transcript(peer)
    assert (transcript.messages[-1], transcript.close_code) == (b"\xc9", 1001)
    wait_until(lambda: server.log.read_text().count("Booting worker") == 2, timeout=20)
    with Peer(server.url, "true") as peer:  # the successor has started
        assert Transcript(peer).exit_code == 0
    wait_until(lambda: processes(docker_api, container) == [])
    log = server.log.read_text()
    assert "Traceback" not in log
    assert [line for line in log.splitlines() if "WARNING" in line and "graceful timeout" not in line] == []


def test_a_limit_that_gunicorn_lowers_is_told_as_it_is():
    worker = SimpleNamespace(cfg=SimpleNamespace(limit_request_line=20_000, worker_connections=10))
    (text,) = shortcomings(worker, max_sessions=10)
    assert "more than 8190 bytes" in text


@pytest.mark.parametrize(
    ("variable", "text"), [("DOCKEREXEC_WS_PATH", "DOCKEREXEC_WS_PATH"), ("DOCKEREXEC_WS_CONTAINER", "container")]
)
def test_a_missing_setting_is_an_error_at_import(docker_host, container, variable, text):
    settings = {"DOCKEREXEC_WS_CONTAINER": container, "DOCKEREXEC_WS_PATH": "x", "DOCKER_HOST": docker_host}
    del settings[variable]
    code = "from gevent import monkey; monkey.patch_all(); import dockerexec_ws.wsgi"
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 1
    assert text in result.stderr.rsplit("SettingsError: ")[-1]


def test_tls_files_of_a_server_that_is_not_this_one(docker_host, container):
    """If client_ca were ignored silently, no client would be asked for a certificate."""
    settings = {"DOCKEREXEC_WS_CONTAINER": container, "DOCKEREXEC_WS_PATH": "x", "DOCKER_HOST": docker_host}
    result = subprocess.run(
        [sys.executable, "-c", "from gevent import monkey; monkey.patch_all(); import dockerexec_ws.wsgi"],
        env=os.environ | settings | {"DOCKEREXEC_WS_CLIENT_CA": "/x"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "client_ca are for the server by itself" in result.stderr.rsplit("SettingsError: ")[-1]


def test_without_patching_the_import_says_what_to_do(docker_host, container):
    settings = {"DOCKEREXEC_WS_CONTAINER": container, "DOCKEREXEC_WS_PATH": "x", "DOCKER_HOST": docker_host}
    code = "import dockerexec_ws.wsgi"
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert "NotPatchedError" in result.stderr
    assert "monkey.patch_all()" in result.stderr


def test_a_policy_file(start, tmp_path):
    """Settings of the server itself are left to gunicorn. The others count, and the environment overrides them."""
    (tmp_path / "policy.toml").write_text(
        "[server]\nport = 1\npath = 'other'\n[requests]\nallow_command = ['echo']\n"
        "[access]\nallow_host = ['a.example']\nallow_unauthenticated = true"
    )
    server = start(STOCK, DOCKEREXEC_WS_CONFIG=str(tmp_path / "policy.toml"))
    with Peer(server.url, "echo", "x", headers=[("Origin", "http://a.example")], host="a.example") as peer:
        assert Transcript(peer).stdout == b"x\n"
    assert Transcript(Peer(server.url, "true")).errors == ["command: not allowed"]


def test_a_mistake_in_the_policy_file_is_an_error_at_import(tmp_path):
    (tmp_path / "policy.toml").write_text("[server]\nport = '80'\n")
    settings = {"DOCKEREXEC_WS_CONFIG": str(tmp_path / "policy.toml"), "DOCKEREXEC_WS_PATH": "x"}
    code = "from gevent import monkey; monkey.patch_all(); import dockerexec_ws.wsgi"
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 1
    assert "server.port: " in result.stderr.rsplit("SettingsError: ")[-1]
