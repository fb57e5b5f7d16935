"""The page for browsers: its HTML, its paths, and the answer if its libraries are missing."""

import contextlib
import re
import shutil
from http.client import HTTPConnection
from urllib.parse import urljoin, urlsplit

import pytest

from dockerexec_ws.web import page as page_module
from tests.access.conftest import token_file  # noqa: F401  # a fixture
from tests.conftest import needs_page
from tests.peer import HandshakeError, Peer, Transcript
from tests.web.browser_requests import SOURCES, ask, get, policy, status_of

pytestmark = needs_page


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
            assert link.startswith("./")  # a relative link works behind a prefix
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
    """A proxy without WebSocket support removes the Upgrade header. The client must not get the page in that case."""
    response, body = get(server.url, **headers)
    assert response.status == 426
    assert b"<" not in body


def test_a_websocket_is_for_the_path_only(server):
    for below in ("/-/page.js", "/-/policy.json"):
        with pytest.raises(HandshakeError) as refused:
            Peer(server.url + below, "true")
        assert refused.value.response.status_code == 404


def test_at_the_root(serve, own_container):
    server = serve(path="")
    assert Transcript(Peer(server.url, "true")).exit_code == 0
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url + "y", "true")
    assert refused.value.response.status_code == 404


def test_a_path_that_only_begins_like_it_is_another(serve, own_container):
    for server in (serve(), serve(None, allow_container=[own_container])):
        assert status_of(server.url, "x") == 404
        with pytest.raises(HandshakeError) as refused:
            Peer(server.url + "x", "true")
        assert refused.value.response.status_code == 404


def test_a_hyphen_is_no_container(serve, own_container):
    server = serve(None, allow_container=["*"])
    for name in ("-", "-/page.js"):
        errors = Transcript(Peer(f"{server.url}/{name}", "true")).errors
        assert errors == [f"No container named '{name}' is available."]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the page's folder without the libraries."""
    copy = tmp_path / "page"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("vendor", "compressed"))
    monkeypatch.setattr(page_module, "_FOLDER", copy)
    return copy


def test_without_libraries_it_says_so_and_all_else_works(folder, serve, caplog):
    server = serve()
    assert page_module.UNBUILT in [record.getMessage() for record in caplog.records]
    for below in ("", "/", "/-/page.js"):
        response, body = get(server.url, below)
        assert response.status == 503
        assert response.getheader("Cache-Control") == "no-store"
        assert b"npm" in body
        assert b"/" not in body  # it reveals no path of this machine
    assert status_of(server.url, "/-/nothing") == 404
    assert policy(server.url)["any_command"] is True
    assert Transcript(Peer(server.url, "true")).exit_code == 0


def test_with_its_libraries_nothing_is_said(serve, caplog):
    serve()
    assert page_module.UNBUILT not in caplog.text


def test_without_a_page_nothing_is_said_and_all_is_as_without_one(folder, serve, caplog):
    server = serve(page=False)
    assert page_module.UNBUILT not in caplog.text
    for below in ("", "/"):
        response, _ = get(server.url, below)
        assert (response.status, response.getheader("Upgrade")) == (426, "websocket")
    for below in ("/-/page.js", "/-/policy.json"):
        assert status_of(server.url, below) == 404
    assert status_of(server.url, method="POST") == 405
