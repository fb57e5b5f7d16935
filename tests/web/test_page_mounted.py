"""The page of an application that is mounted next to another one."""

import contextlib
import re
from urllib.parse import urljoin

import flask
import pytest
from gevent.pywsgi import WSGIServer
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from dockerexec_ws import Handler, create_app, mount
from tests.access.conftest import token_file  # noqa: F401  # a fixture
from tests.conftest import needs_page
from tests.peer import Peer, Transcript
from tests.web.browser_requests import SOURCES, get, policy

pytestmark = needs_page


def test_mounted_beside_a_flask_application(docker_host, container):
    flask_app = flask.Flask("theirs")
    flask_app.add_url_rule("/<path:path>", view_func=lambda path: f"theirs: {path}")
    mounted = mount(flask_app, container, docker_host=docker_host, path="shell")
    server = WSGIServer(("127.0.0.1", 0), mounted, handler_class=Handler, log=None)
    server.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/shell"
        assert b'"./shell/-/page.js"' in get(url)[1]
        assert b'"./-/page.js"' in get(url, "/")[1]
        assert get(url, "/-/page.js")[1] == (SOURCES / "page.js").read_bytes()
        assert policy(url)["tty"] is True
        assert get(url, "/-/nothing")[1] == b"There is nothing at this path. Check the URL.\n"
        for theirs in ("shells", "shell/-", "shell/page"):
            assert get(url[: -len("shell")], theirs)[1] == f"theirs: {theirs}".encode()
        assert Transcript(Peer(url.replace("http", "ws"), "true")).exit_code == 0
    finally:
        mounted.app.close()
        server.stop(timeout=0)


@pytest.mark.parametrize("path", ["", "x"])
def test_mounted_by_a_dispatcher_that_takes_a_prefix_away(docker_host, container, path):
    app = create_app(container, docker_host=docker_host, path=path)
    dispatcher = DispatcherMiddleware(flask.Flask("theirs"), {"/the shell": app})
    server = WSGIServer(("127.0.0.1", 0), dispatcher, handler_class=Handler, log=None)
    server.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/the%20shell" + (f"/{path}" if path else "")
        for below in ("", "/"):
            (script,) = re.findall(r'src="([^"]+)"', get(url, below)[1].decode())
            assert get(urljoin(url + below, script))[1] == (SOURCES / "page.js").read_bytes()
        assert Transcript(Peer(url.replace("http", "ws"), "true")).exit_code == 0
    finally:
        app.close()
        server.stop(timeout=0)


def test_mounted_without_a_page(docker_host, container):
    flask_app = flask.Flask("theirs")
    flask_app.add_url_rule("/<path:path>", view_func=lambda path: f"theirs: {path}")
    with contextlib.closing(mount(flask_app, container, docker_host=docker_host, path="shell", page=False).app) as app:
        for path, ours in (("/shell", True), ("/shell/", True), ("/shell/-/page.js", False)):
            assert app.serves({"PATH_INFO": path}) == ours
