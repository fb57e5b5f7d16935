"""The page's files: their paths serve them and nothing else."""

import contextlib
import logging
import socket
from urllib.parse import urlsplit

import pytest

from dockerexec_ws.web import app as app_module
from tests.access.conftest import token_file  # noqa: F401  # a fixture
from tests.conftest import needs_page, wait_until
from tests.web.browser_requests import SOURCES, get, status_of

pytestmark = needs_page


def test_each_file_of_the_page_is_there_with_its_type(server):
    types = {
        "page.js": "text/javascript; charset=utf-8",
        "page.css": "text/css; charset=utf-8",
        "vendor/xterm.mjs": "text/javascript; charset=utf-8",
        "vendor/xterm.css": "text/css; charset=utf-8",
        "vendor/xterm.LICENSE": "text/plain; charset=utf-8",
    }
    for path in (path for path in SOURCES.rglob("*") if path.is_file()):
        name = path.relative_to(SOURCES).as_posix()
        response, body = get(server.url, f"/-/{name}")
        if path.suffix in (".json", ".html"):
            assert response.status == 404, name
            continue
        assert response.status == 200, name
        assert body == path.read_bytes()
        assert types.pop(name, response.getheader("Content-Type")) == response.getheader("Content-Type")
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"
        assert response.getheader("Cache-Control") == "no-cache"
    assert not types


def test_a_file_that_the_browser_has_is_not_sent_again(server):
    tag = get(server.url, "/-/page.js")[0].getheader("ETag")
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response, body = get(server.url, "/-/page.js", If_None_Match=known)
        assert (response.status, body, response.getheader("ETag")) == (304, b"", tag)
    for known in ('"other"', "", tag.strip('"'), tag[:-2] + '"'):
        assert status_of(server.url, "/-/page.js", If_None_Match=known) == 200


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../page.py",
        "..%2fpage.py",
        "%2e%2e/page.py",
        "../../../../../etc/passwd",
        "/etc/passwd",
        "vendor",
        "vendor/",
        "vendor/../index.html",
        "vendor%2fxterm.mjs%00.js",
        "index.html",
        "package.json",
        "package-lock.json",
        ".",
        "page.js/",
        "PAGE.JS",
        "page.js%00",
        "%ff",
    ],
)
def test_nothing_else_is_there(server, name):
    response, body = get(server.url, f"/-/{name}")
    assert (response.status, body) == (404, b"There is nothing at this path. Check the URL.\n")


def test_who_does_not_read_is_not_waited_for_for_ever(server, monkeypatch, caplog, capfd):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(app_module, "PAGE_TIMEOUT", 0.2)
    parts = urlsplit(server.url)
    wanted = f"GET {parts.path}/-/vendor/xterm.mjs HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode() * 100
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((parts.hostname, parts.port))
        sock.sendall(wanted)
        wait_until(lambda: "the client did not take the answer in time" in caplog.text)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1_000_000):  # until the connection ends
                pass
    assert "Traceback" not in capfd.readouterr().err
