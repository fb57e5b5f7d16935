"""The page for browsers: who gets it, where its files are, and what it is told of the policy."""

import contextlib
import json
import logging
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
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import dockerexec_ws
from dockerexec_ws import Handler, create_app, mount
from dockerexec_ws.access.admission import MOST_FAILURES
from dockerexec_ws.access.authenticators import authenticators_of, token_need
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.policy import Narrowing, Policy, offered_commands
from dockerexec_ws.settings.settings import Settings
from dockerexec_ws.web import app as app_module
from dockerexec_ws.web import page as page_module
from tests.access.test_admission import bearer, token_file  # noqa: F401  # a fixture
from tests.conftest import needs_page, wait_until
from tests.peer import HandshakeError, Peer, Transcript

pytestmark = needs_page

SOURCES = Path(dockerexec_ws.__file__).parent / "page"
SECRET = "a secret of at least thirty-two bytes"


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
            while sock.recv(1_000_000):  # to the end of the connection
                pass
    assert "Traceback" not in capfd.readouterr().err


# Without its libraries


def test_without_libraries_it_says_so_and_all_else_works(folder, serve, caplog):
    server = serve()
    assert page_module.UNBUILT in [record.getMessage() for record in caplog.records]
    for below in ("", "/", "/-/page.js"):
        response, body = get(server.url, below)
        assert response.status == 503
        assert response.getheader("Cache-Control") == "no-store"
        assert b"npm" in body
        assert b"/" not in body  # no path of this machine
    assert status_of(server.url, "/-/nothing") == 404
    assert policy(server.url)["any_command"] is True
    assert Transcript(Peer(server.url, "true")).exit_code == 0


def test_with_its_libraries_nothing_is_said(serve, caplog):
    serve()
    assert page_module.UNBUILT not in caplog.text


def test_without_a_page_nothing_is_said_and_all_is_as_without_one(folder, serve, caplog):
    server = serve(page=False)
    assert page_module.UNBUILT not in caplog.text
    response, _ = get(server.url)
    assert (response.status, response.getheader("Upgrade")) == (426, "websocket")
    for below in ("/", "/-/page.js", "/-/policy.json"):
        assert status_of(server.url, below) == 404
    assert status_of(server.url, method="POST") == 405


# Who gets it


@pytest.mark.parametrize(
    ("headers", "options", "status"),
    [
        ({"host": "evil.example"}, {}, 403),
        ({"host": "shell.example"}, {"allow_host": ["shell.example"]}, 200),
        ({"Origin": "http://evil.example"}, {}, 403),
        ({"Origin": "null"}, {}, 403),
        ({"Origin": "http://ci.example"}, {"allow_origin": ["http://ci.example"]}, 200),
    ],
)
def test_the_host_and_the_origin_are_checked_for_all_of_it(serve, headers, options, status):
    server = serve(**options)
    for below in ("", "/", "/-/page.js", "/-/policy.json"):
        assert status_of(server.url, below, **headers) == status, below


def test_a_stranger_with_the_wrong_path_learns_nothing(serve):
    """Not even whether the server goes by that name."""
    server = serve(path="x")
    base = server.url[: -len("/x")]
    answers = {get(base, path, host=host)[1] for path in ("/", "/y/-/policy.json") for host in ("evil.example", None)}
    assert answers == {b"There is nothing here.\n"}


@pytest.mark.parametrize(
    ("environ", "options", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, {}, 200),
        ({"REMOTE_ADDR": ""}, {}, 200),  # a unix socket
        ({"REMOTE_ADDR": "10.0.0.9"}, {}, 403),
        ({"REMOTE_ADDR": "10.0.0.9"}, {"allow_unauthenticated": True}, 200),
        ({"REMOTE_ADDR": "10.0.0.9"}, {"authenticators": [lambda environ: None]}, 200),  # but for the policy
        ({"REMOTE_ADDR": "127.0.0.1"}, {"authenticators": [lambda environ: None]}, 200),
    ],
)
def test_where_a_request_comes_from(docker_host, container, environ, options, status):
    request = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost"} | environ
    with contextlib.closing(create_app(container, docker_host=docker_host, path="x", **options)) as app:
        for path in ("/x", "/x/-/page.js", "/x/-/policy.json"):
            answers = []
            body = app(request | {"PATH_INFO": path}, lambda status, headers, into=answers: into.append(status))
            told = 401 if "authenticators" in options and path.endswith("json") else status
            assert answers[0].startswith(str(told)), path
            assert (b"--allow-unauthenticated" in b"".join(body)) == (told == 403)


def test_the_address_that_was_reached_is_a_name_of_the_server_under_gunicorn_too(docker_host, container):
    request = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "PATH_INFO": "/x"}
    with (
        contextlib.closing(create_app(container, docker_host=docker_host, path="x")) as app,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.bind(("127.0.0.2", 0))
        for host, status in (("127.0.0.2", "200"), ("127.0.0.3", "403")):
            answers = []
            environ = request | {"HTTP_HOST": host, "gunicorn.socket": sock}
            app(environ, lambda status, headers, into=answers: into.append(status))
            assert answers[0].startswith(status)


@pytest.mark.parametrize(
    ("bearer_ones", "others", "need"),
    [
        ({}, {}, "none"),
        ({"token_file": True}, {}, "required"),
        ({"token_file": True, "jwt": True}, {}, "required"),
        ({"token_file": True}, {"authenticators": [lambda environ: None]}, "optional"),
        ({"jwt": True}, {"identity_header": "X-User", "trusted_proxy": ["127.0.0.1/32"]}, "optional"),
        ({}, {"identity_header": "X-User", "trusted_proxy": ["127.0.0.1/32"]}, "none"),
        ({}, {"authenticators": [lambda environ: None]}, "none"),
    ],
)
def test_the_page_knows_whether_to_ask_for_a_token(token_file, signed, bearer_ones, others, need):  # noqa: F811
    options = dict(others)
    if "token_file" in bearer_ones:
        options["token_file"] = token_file[1]
    if "jwt" in bearer_ones:
        options |= signed[0]
    assert token_need(authenticators_of(Settings(**options))) == need


def test_the_page_is_what_is_in_the_package_but_for_two_words(serve, token_file):  # noqa: F811
    source = (SOURCES / "index.html").read_text()
    assert "{{token}}" in source
    for options, need in (({}, "none"), ({"token_file": token_file[1]}, "required")):
        page = source.replace("{{token}}", need).replace("{{assets}}", "./x/-/")
        assert get(serve(**options).url)[1] == page.encode()


# What may be asked for


def test_without_credentials_there_is_the_page_but_no_name_and_no_policy(serve, token_file, tmp_path):  # noqa: F811
    token, tokens = token_file
    options = {
        "token_file": tokens,
        "allow_container": ["planted-container"],
        "allow_command": ["planted-command", ["planted-word", "x"]],
        "audit_log": tmp_path / "audit",
    }
    server = serve(None, **options)
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        for below in ("", "/", "/planted-container", "/-/page.js"):
            response, body = get(server.url, below, **headers)
            assert response.status == 200
            assert b"planted" not in body
        response, body = get(server.url, "/-/policy.json", **headers)
        assert (response.status, body) == (401, b"Authentication is needed.\n")
        assert response.getheader("WWW-Authenticate") == "Bearer"
    # Told as those of sessions are; who looks at the page has been refused nothing.
    refusals = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [record["reason"] for record in refusals] == ["Authentication is needed."] * 2
    assert policy(server.url, **dict(bearer(token)))["containers"] == ["planted-container"]


def test_guesses_of_a_token_are_counted_with_those_of_sessions(serve, token_file):  # noqa: F811
    server = serve(token_file=token_file[1])
    for _ in range(MOST_FAILURES):
        assert status_of(server.url, "/-/policy.json", Authorization="Bearer wrong") == 401
    for below, status in (("/-/policy.json", 429), ("", 200), ("/-/page.js", 200)):
        assert status_of(server.url, below, **dict(bearer(token_file[0]))) == status
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url, "true", headers=bearer(token_file[0]))
    assert refused.value.response.status_code == 429


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_makes_no_failures_for_its_visitors(serve, token_file, site):  # noqa: F811
    server = serve(token_file=token_file[1])
    for _ in range(MOST_FAILURES):
        assert status_of(server.url, "/-/policy.json", **{"Sec-Fetch-Site": site}) == 403
    same = {"Sec-Fetch-Site": "same-origin"} | dict(bearer(token_file[0]))
    assert status_of(server.url, "/-/policy.json", **same) == 200


def test_the_policy_where_nothing_is_restricted(server):
    response, body = get(server.url, "/-/policy.json")
    assert response.getheader("Content-Type") == "application/json"
    assert response.getheader("Cache-Control") == "no-store"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert json.loads(body) == {
        "identity": None,
        "chooses_container": False,
        "containers": [],
        "any_command": True,
        "commands": [],
        "tty": True,
        "read_only": False,
    }


def test_the_policy_that_is_restricted(serve):
    server = serve(
        None,
        allow_container=["web", "db-*", "app"],
        allow_command=["bash", "ls*", ["tail", "-f", "/log"]],
        allow_tty=False,
        read_only=True,
        authenticators=[lambda environ: "carol"],
    )
    assert policy(server.url) == {
        "identity": "carol",
        "chooses_container": True,
        "containers": ["app", "web"],
        "any_command": True,
        "commands": [["bash"], ["tail", "-f", "/log"]],
        "tty": False,
        "read_only": True,
    }


@pytest.mark.parametrize(
    ("options", "claim", "expected"),
    [
        ({}, {}, {"containers": ["app", "web"], "tty": True}),
        ({}, {"container": "web"}, {"containers": ["web"]}),
        ({}, {"container": "w*"}, {"containers": ["web"]}),
        ({}, {"container": "other"}, {"containers": []}),
        ({}, {"container": ["db-1", "web", "other"]}, {"containers": ["db-1", "web"]}),  # db-1 by the policy's db-*
        (
            {"allow_container_label": ["shell"]},
            {"container": "other"},
            {"containers": ["other"]},
        ),  # by its label, perhaps
        ({}, {"command": ["ls", "-l"]}, {"commands": [["ls", "-l"]], "any_command": False}),
        ({"allow_command": ["bash"]}, {"command": ["ls"]}, {"commands": [], "any_command": False}),
        ({}, {"tty": False}, {"tty": False}),
        ({"allow_tty": False}, {"tty": True}, {"tty": False}),
    ],
)
def test_a_token_narrows_what_the_page_is_told(serve, signed, options, claim, expected):
    server = serve(None, **{"allow_container": ["web", "app", "db-*"]} | options | signed[0])
    told = policy(server.url, Authorization=signed[1](**claim))
    assert told["identity"] == "bob"
    assert {key: told[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("commands", "narrowed", "listed", "others"),
    [
        (["*"], None, [], True),
        ([], None, [], False),
        (["bash"], None, [["bash"]], True),  # with further words
        ([["ls", "-l"], ["id"]], None, [["ls", "-l"], ["id"]], False),
        ([["ls", "*"]], None, [["ls", "*"]], False),  # exactly that
        (["b?sh", "[ab]"], None, [], True),
        (["*"], ("ls",), [["ls"]], False),
        ([["ls", "-l"]], ("ls",), [], False),
    ],
)
def test_which_commands_can_be_listed(commands, narrowed, listed, others):
    assert offered_commands(Policy(commands=commands), Narrowing(command=narrowed)) == (listed, others)


def test_what_is_listed_can_be_run(serve, signed):
    """And the commands that are not can not, where it says that there are no others."""
    server = serve(allow_command=[["echo", "a b"], ["id"]])
    told = policy(server.url)
    assert told["any_command"] is False
    for command in told["commands"]:
        assert Transcript(Peer(server.url, *command)).exit_code == 0
    assert Transcript(Peer(server.url, "echo")).errors == ["command: not allowed"]


def test_an_identity_of_an_authenticator_of_the_callers(serve):
    narrowing = Narrowing(command=("id",))
    server = serve(authenticators=[lambda environ: Identity("dora", narrowing)])
    told = policy(server.url)
    assert (told["identity"], told["commands"]) == ("dora", [["id"]])


def test_while_the_server_goes_away(serve):
    server = serve()
    with Peer(server.url, "cat").ready() as peer:
        closing = gevent.spawn(server.close, 5)
        wait_until(lambda: status_of(server.url, "/-/policy.json") == 503)
        response, body = get(server.url, "/-/policy.json")
        assert (response.getheader("Retry-After"), body) == ("5", b"The server is going away.\n")
        assert status_of(server.url) == 200
        peer.end()
        assert Transcript(peer).exit_code == 0
    closing.get()


# Other ways to run


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
        assert get(url, "/-/nothing")[1] == b"There is nothing here.\n"
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
        for path, ours in (("/shell", True), ("/shell/", False), ("/shell/-/page.js", False)):
            assert app.serves({"PATH_INFO": path}) == ours
