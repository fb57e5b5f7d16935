"""The application: events, settings, mounting, start and end."""

import json
import logging
import os
import re

import flask
import gevent
import pytest
from gevent.pywsgi import WSGIServer

from dockerexec_ws import ContainerNotFoundError, EngineUnavailableError, Handler, SettingsError, create_app, mount
from dockerexec_ws.session.session import Session
from dockerexec_ws.settings.settings import Settings
from dockerexec_ws.web.app import App
from tests.conftest import wait_until
from tests.peer import Peer, Transcript
from tests.web.raw import ask, exchange


def test_events_and_a_failing_callback(serve, caplog):
    server = serve()
    events = []
    server.subscribe("session", lambda session: 1 / 0)
    for event in ("session", "session added", "session removed"):
        server.subscribe(event, lambda argument, event=event: events.append((event, argument)))
    with Peer(server.url, "true") as peer:
        assert Transcript(peer).exit_code == 0
    wait_until(lambda: len(events) == 3)
    assert [event for event, _ in events] == ["session", "session added", "session removed"]
    assert events[0][1].argv == ("true",)
    assert [count for _, count in events[1:]] == [1, 0]
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(SettingsError, match="session ended"):
        server.subscribe("session ended", print)


def test_a_session_that_fails_by_a_fault_of_our_own_has_an_end_too(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(Session, "run", lambda _: 1 / 0)
    server = serve(audit_log=tmp_path / "audit")
    counts = []
    server.subscribe("session removed", counts.append)
    assert Transcript(Peer(server.url, "true")).close_code == 1006
    wait_until(lambda: counts == [0])
    assert server.sessions == []
    start, end = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert (start["event"], end["event"]) == ("start", "end")
    assert start["session"] == end["session"]
    assert (end["ending"], end["processes_left"]) == ("internal error", True)


def test_stdin_is_in_no_log(serve, caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets").setLevel(logging.DEBUG)
    server = serve()
    with Peer(server.url, "cat").ready() as peer:
        peer.stdin(b"planted-secret")
        peer.send_text("\x00planted-secret")
        peer.end()
        assert Transcript(peer).stdout == b"planted-secret" * 2
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("dockerexec_ws")]
    assert ours
    assert not [message for message in ours if "planted-secret" in message]


@pytest.mark.parametrize(
    "options",
    [
        {"max_sessions": 0},
        {"ping_interval": float("nan")},
        {"ping_interval": -1},
        {"ping_timeout": 0},
        {"max_message_size": 0},
        {"output_limit": 65535},
        {"wrapper_command": "sudo -u x"},
        {"engine_timeout": 0},
        {"grace": -1},
        {"grace": float("inf")},
        {"idle_timeout": -1},
        {"max_duration": float("nan")},
        {"max_output": -1},
        {"drain_timeout": -1},
        {"on_disconnect": "stay"},
        {"docker_socket": "/a", "docker_host": "unix:///b"},
        {"max_sessions": True},
        {"page": "no"},
        {"allow_origin": [1]},
        {"authenticators": "token"},
    ],
)
def test_settings_that_make_no_sense(options):
    with pytest.raises(SettingsError):
        create_app("c", **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_sessions": 2.5}, "max_sessions: 2.5 is not allowed here. Give a whole number of at least 1."),
        ({"max_sessions": "3"}, "max_sessions: the string '3' is not allowed here. Give a whole number of at least 1."),
        ({"max_sesions": 3}, "max_sesions is not an option. Did you mean max_sessions?"),
        ({"xyzzy": 3}, "xyzzy is not an option. dockerexec_ws.settings.schema lists them."),
        ({"port": 80}, "port is an option of DockerExecServer only"),
        ({"container": "d"}, "Give the container as the first argument."),
    ],
)
def test_a_wrong_setting_says_what_to_do(options, text):
    with pytest.raises(SettingsError, match=re.escape(text)):
        create_app("c", **options)


def test_an_empty_container_name():
    with pytest.raises(SettingsError, match="empty"):
        create_app("")


def test_create_app_finds_out_at_once(docker_host, tmp_path):
    with pytest.raises(ContainerNotFoundError):
        create_app("nosuch", docker_host=docker_host)
    assert create_app.__doc__


def test_an_unguessable_path_by_default(docker_host, container):
    paths = {create_app(container, docker_host=docker_host).path for _ in range(3)}
    assert len(paths) == 3
    assert min(len(path) for path in paths) > 20


@pytest.mark.parametrize("path", ["a/b", "/a/b", "/a/b/"])
def test_a_path_with_or_without_slashes(docker_host, container, path):
    assert create_app(container, docker_host=docker_host, path=path).path == "/a/b"


@pytest.fixture
def flask_app():
    app = flask.Flask("legacy")

    @app.route("/hello", methods=["GET", "POST"])
    def hello():
        return f"hello {flask.request.get_data(as_text=True)}"

    return app


def test_mounted_beside_a_flask_application(docker_host, container, flask_app):
    mounted = mount(flask_app, container, docker_host=docker_host, path="shell", max_sessions=1)
    server = WSGIServer(("127.0.0.1", 0), mounted, handler_class=Handler, log=None)
    server.start()
    try:
        url = f"ws://127.0.0.1:{server.server_port}/shell"
        first = Peer(url, "cat").ready()
        assert exchange(url, b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")[::2] == (200, b"hello ")
        post = b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nyou"
        assert exchange(url, post)[::2] == (200, b"hello you")
        assert exchange(url, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 404
        assert Transcript(Peer(url, "cat")).errors == ["Too many sessions active!"]
        assert len(mounted.app.sessions) == 1
        first.stdin(b"beside")
        first.end()
        assert Transcript(first).stdout == b"beside"
    finally:
        mounted.app.close()
        server.stop(timeout=0)


def test_a_server_that_cannot_upgrade_is_told_how(docker_host, container):
    server = WSGIServer(("127.0.0.1", 0), create_app(container, docker_host=docker_host, path="x"), log=None)
    server.start()
    status, _, body = ask(f"ws://127.0.0.1:{server.server_port}/x")
    server.stop(timeout=0)
    assert status == 500
    assert b"handler_class=dockerexec_ws.Handler" in body


def test_engine_not_answering_at_create(tmp_path):
    with pytest.raises(EngineUnavailableError, match="connection refused"):
        create_app("c", docker_host="tcp://127.0.0.1:1")


def answer_of(app, **environ):
    """Return the status of the answer to a request."""
    statuses = []
    body = app(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "REMOTE_ADDR": "127.0.0.1"} | environ,
        lambda *a: statuses.append(a[0]),
    )
    return statuses[0], b"".join(body)


@pytest.mark.parametrize("path", ["/x", "/x/-/policy.json", "/y"])
def test_a_request_before_the_start_is_told_to_come_again(path):
    status, body = answer_of(App(Settings("x", path="x")), PATH_INFO=path)
    assert status == "503 Service Unavailable"
    assert body == b"The server has not started. Try again later.\n"


def test_before_the_start_no_process_could_not_be_ended():
    assert App(Settings("x", path="x")).kill_failures == 0


def open_files():
    return len(os.listdir("/proc/self/fd"))


def test_a_start_that_fails_leaves_nothing_open(docker_host, tmp_path):
    def start():
        with pytest.raises(ContainerNotFoundError):
            create_app("no-such-container", path="x", docker_host=docker_host, audit_log=tmp_path / "audit")

    start()  # this does the one-time imports and opens
    before = open_files()
    for _ in range(5):
        start()
    assert open_files() <= before  # files of earlier tests may be closed meanwhile


def test_close_closes_the_connections_to_the_engine(container, docker_host):
    def run():
        create_app(container, path="x", docker_host=docker_host).close()

    run()
    gevent.sleep(0.1)  # `close` does not wait for the greenlet that checks whether processes can be ended
    before = open_files()
    for _ in range(5):
        run()
    wait_until(lambda: open_files() == before)
