"""The page's files: their paths serve them and nothing else."""

import contextlib
import gzip
import hashlib
import logging
import re
import shutil
import socket
from urllib.parse import urlsplit

import pytest

from dockerexec_ws.web import app as app_module
from dockerexec_ws.web import page as page_module
from tests.access.conftest import token_file  # noqa: F401  # a fixture
from tests.conftest import needs_page, wait_until
from tests.web.browser_requests import SOURCES, get, status_of

pytestmark = needs_page


def vendored(name, suffix):
    """The path of a library's file, whose name has its hash."""
    (path,) = SOURCES.glob(f"vendor/{name}.????????{suffix}")
    return path.relative_to(SOURCES).as_posix()


def test_each_file_of_the_page_is_there_with_its_type(server):
    types = {
        "page.js": "text/javascript; charset=utf-8",
        "page.css": "text/css; charset=utf-8",
        vendored("xterm", ".mjs"): "text/javascript; charset=utf-8",
        vendored("xterm", ".css"): "text/css; charset=utf-8",
        "vendor/xterm.LICENSE": "text/plain; charset=utf-8",
    }
    for path in (path for path in SOURCES.rglob("*") if path.is_file()):
        name = path.relative_to(SOURCES).as_posix()
        response, body = get(server.url, f"/-/{name}")
        if path.suffix in (".json", ".html", ".br", ".gz"):
            assert response.status == 404, name
            continue
        assert response.status == 200, name
        assert body == path.read_bytes()
        assert types.pop(name, response.getheader("Content-Type")) == response.getheader("Content-Type")
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"
        final = name.startswith("vendor/") and path.suffix != ".LICENSE"
        assert response.getheader("Cache-Control") == ("max-age=31536000, immutable" if final else "no-cache")
    assert not types


def test_a_file_whose_name_never_changes_has_the_hash_of_its_content_in_it():
    """After an update of a library, its new name must be put where the page loads it: terminal.js or index.html."""
    sources = "".join((SOURCES / name).read_text() for name in ("terminal.js", "index.html"))
    loaded = set(re.findall(r"vendor/[\w.-]+", sources))
    there = [path for path in SOURCES.glob("vendor/*") if path.suffix != ".LICENSE"]
    assert loaded == {f"vendor/{path.name}" for path in there}
    for path in there:
        assert path.name.split(".")[1] == hashlib.sha256(path.read_bytes()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("GZIP", "gzip"),
        ("gzip;q=1.0, br;q=0", "gzip"),
        ("gzip; q=0.000, br ; q=0", None),
        ("deflate, brotli, *", None),
        ("", None),
    ],
)
def test_a_file_is_sent_in_the_best_form_that_the_browser_takes(server, accepted, coding):
    name = vendored("xterm", ".mjs")
    response, body = get(server.url, f"/-/{name}", Accept_Encoding=accepted)
    assert (response.status, response.getheader("Content-Encoding")) == (200, coding)
    assert (response.getheader("Vary"), response.getheader("ETag")[-1]) == ("Accept-Encoding", '"')
    whole = (SOURCES / name).read_bytes()
    assert int(response.getheader("Content-Length")) == len(body)
    if coding == "gzip":
        body = gzip.decompress(body)
    assert len(body) < len(whole) / 3 if coding == "br" else body == whole
    # Each form has a separate ETag, so that no cache mistakes one for another.
    tag = response.getheader("ETag")
    again, nothing = get(server.url, f"/-/{name}", Accept_Encoding=accepted, If_None_Match=tag)
    assert (again.status, nothing, again.getheader("Vary")) == (304, b"", "Accept-Encoding")
    other = "identity" if coding else "br"
    assert status_of(server.url, f"/-/{name}", Accept_Encoding=other, If_None_Match=tag) == 200


def test_a_file_that_was_changed_since_the_build_is_sent_as_it_is(serve, tmp_path, monkeypatch):
    copy = shutil.copytree(SOURCES, tmp_path / "page")
    (copy / "app.js").write_text("changed();")
    monkeypatch.setattr(page_module, "_FOLDER", copy)
    response, body = get(serve().url, "/-/app.js", Accept_Encoding="br")
    assert (response.getheader("Content-Encoding"), body) == (None, b"changed();")


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
    wanted = f"GET {parts.path}/-/{vendored('xterm', '.mjs')} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode() * 100
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((parts.hostname, parts.port))
        sock.sendall(wanted)
        wait_until(lambda: "the client did not take the answer in time" in caplog.text)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1_000_000):  # until the connection ends
                pass
    assert "Traceback" not in capfd.readouterr().err
