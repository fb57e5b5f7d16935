"""The page for browsers: who gets it, where its files are, and what it is told of the policy."""

import contextlib
import json
import re
import shutil
import socket
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import flask
import gevent
import jwt
import pytest
from gevent.pywsgi import WSGIServer

import dockerexec_ws
from dockerexec_ws import Handler, create_app, mount
from dockerexec_ws.server import app as app_module
from dockerexec_ws.server import page as page_module
from dockerexec_ws.server.access.authenticators import authenticators_of, token_need
from dockerexec_ws.server.access.identity import Identity
from dockerexec_ws.server.policy import Narrowing, Policy, offered_commands
from dockerexec_ws.server.settings import Settings
from tests.conftest import wait_until
from tests.peer import HandshakeError, Peer, Transcript
from tests.server.test_admission import bearer, token_file  # noqa: F401  # a fixture

SOURCES = Path(dockerexec_ws.__file__).parent / "page"
SECRET = "a secret of at least thirty-two bytes"
TOKEN_NEEDED = re.compile(r'data-token="(\w+)"')


def get(url, below="", *, method="GET", host=None, **headers):
    """Ask for what is *below* a server's URL, as it is given; returns the response, and its body."""
    parts = urlsplit(url)
    with contextlib.closing(HTTPConnection(parts.hostname, parts.port, timeout=15)) as connection:
        return ask(connection, parts.path + below, method=method, host=host or parts.netloc, **headers)


def ask(connection, path, *, method="GET", host="127.0.0.1", **headers):
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": host, **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    return response, response.read()


def status_of(*arguments, **options):
    return get(*arguments, **options)[0].status


def policy(url, **headers):
    response, body = get(url, "/-/policy.json", **headers)
    assert response.status == 200, body
    return json.loads(body)


@pytest.fixture
def signed(tmp_path):
    """Options for signed tokens, and a function that makes the header with one with the claim's fields."""
    (tmp_path / "key").write_text(SECRET)
    options = {"jwt_key_file": tmp_path / "key", "jwt_issuer": "ci", "jwt_audience": "shell"}

    def header(**claim):
        claims = {"iss": "ci", "aud": "shell", "sub": "bob", "exp": 4_000_000_000, "dockerexec_ws": claim}
        return f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"

    return options, header


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The page's folder, a copy without libraries."""
    copy = tmp_path / "page"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("vendor"))
    monkeypatch.setattr(page_module, "_FOLDER", copy)
    return copy


# The page


def test_a_browser_gets_the_page_with_what_protects_it(server):
    response, body = get(server.url)
    assert response.status == 200
    assert response.getheader("Content-Type") == "text/html; charset=utf-8"
    assert int(response.getheader("Content-Length")) == len(body)
    assert b"{{" not in body
    directives = dict(part.split(" ", 1) for part in response.getheader("Content-Security-Policy").split("; "))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    for name, value in {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }.items():
        assert response.getheader(name) == value
    assert response.getheader("Set-Cookie") is None


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("x", ["", "/"]),
        ("a/b", ["", "/"]),
        ("ä b/c d:%25/é", ["", "/"]),
        ("a:b", ["", "/"]),
        ("", ["", "/"]),
        ('"><script>', ["", "/"]),
    ],
)
def test_its_files_are_found_from_each_form_of_the_path(serve, path, below):
    server = serve(path=path)
    for form in below:
        page = server.url.replace("ws", "http", 1).rstrip("/") + (form if path else "/")
        response, body = get(page)
        assert response.status == 200
        links = re.findall(r'(?:href|src)="([^"]+)"', body.decode())
        assert links
        assert {re.sub(r"-/.*", "-/", link) for link in links} <= {"./-/", f"./{page.rpartition('/')[2]}/-/"}
        for link in links:
            assert link.startswith("./")  # so that it works behind a prefix
            assert status_of(urljoin(page, link)) == 200, link


def test_where_clients_choose_each_container_has_the_page_and_none_is_told_from_another(serve, own_container):
    server = serve(None, allow_container=[own_container])
    pages = {get(server.url, below)[1] for below in ("/", f"/{own_container}", "/no-such-container")}
    assert len(pages) == 1
    (page,) = pages
    assert b'"./-/page.js"' in page
    for below in ("/-", f"/{own_container}/", "/a/b", f"/{own_container}/-/page.js"):
        assert status_of(server.url, below) == 404


def test_other_paths_are_not_there(server):
    for below in ("x", "/y", "//", "/-", "/-x", "/./", "/..", "?"):
        assert status_of(server.url, below) == (200 if below == "?" else 404), below
    assert status_of(server.url.rpartition("/")[0] + "/") == 404


def test_only_reading(server):
    for below in ("", "/", "/-/page.js", "/-/policy.json"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            response, _ = get(server.url, below, method=method)
            assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")


def test_the_head_alone_on_a_connection_that_goes_on(server):
    parts = urlsplit(server.url)
    with contextlib.closing(HTTPConnection(parts.hostname, parts.port, timeout=15)) as connection:
        for below in ("", "/-/page.js", "/-/policy.json", "/-/nothing"):
            response, body = ask(connection, parts.path + below, method="HEAD")
            head = dict(response.getheaders())
            assert body == b""
            response, body = ask(connection, parts.path + below)
            assert {**dict(response.getheaders()), "Date": ""} == {**head, "Date": ""}
            assert len(body) == int(head["Content-Length"]) > 0
            port = connection.sock.getsockname()[1]
        assert connection.sock.getsockname()[1] == port


@pytest.mark.parametrize(
    "headers",
    [{"Upgrade": "websocket"}, {"Upgrade": "h2c"}, {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}],
)
def test_who_wanted_a_websocket_is_told_that_it_is_none(server, headers):
    """A proxy that does not know of WebSockets takes the Upgrade header away; the client must not get a page for it."""
    response, body = get(server.url, **headers)
    assert response.status == 426
    assert b"<" not in body


def test_a_websocket_is_for_the_path_only(server):
    for below in ("/", "/-/page.js", "/-/policy.json"):
        with pytest.raises(HandshakeError) as refused:
            Peer(server.url + below, "true")
        assert refused.value.response.status_code == 404


def test_a_hyphen_is_no_container(serve, own_container):
    server = serve(None, allow_container=["*"])
    for below in ("/-", "/-/page.js"):
        assert Transcript(Peer(server.url + below, "true")).errors == ["container: there is none of that name"]


# Its files


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
    assert (response.status, body) == (404, b"There is nothing here.\n")


def test_who_does_not_read_is_not_waited_for_for_ever(server, monkeypatch, capfd):
    monkeypatch.setattr(app_module, "PAGE_TIMEOUT", 0.2)
    parts = urlsplit(server.url)
    wanted = f"GET {parts.path}/-/vendor/xterm.mjs HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode() * 100
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((parts.hostname, parts.port))
        sock.sendall(wanted)
        wait_until(lambda: not handled(server))
        with pytest.raises(AssertionError, match="it has ended"), contextlib.suppress(ConnectionResetError):
            while sock.recv(1_000_000):
                pass
            raise AssertionError("it has ended")
    assert "Traceback" not in capfd.readouterr().err


def handled(server):
    """The greenlets that handle connections now."""
    return [greenlet for greenlet in server._server.pool or server._server._spawn_greenlets]
