"""Which clients get the page."""

import contextlib
import socket
from urllib.parse import urlencode

import pytest

from dockerexec_ws import create_app
from dockerexec_ws.access.authenticators import authenticators_of, token_need
from dockerexec_ws.settings.settings import Settings
from tests.access.conftest import token_file  # noqa: F401  # a fixture
from tests.conftest import needs_page
from tests.web.browser_requests import SOURCES, get, status_of

pytestmark = needs_page


@pytest.mark.parametrize(
    ("headers", "options", "status"),
    [
        ({"host": "evil.example"}, {}, 403),
        ({"host": "shell.example"}, {"allow_host": ["shell.example"], "allow_unauthenticated": True}, 200),
        ({"Origin": "http://evil.example"}, {}, 403),
        ({"Origin": "null"}, {}, 403),
        ({"Origin": "http://ci.example"}, {"allow_origin": ["http://ci.example"]}, 200),
    ],
)
def test_the_host_and_the_origin_are_checked_for_all_that_is_not_public(serve, headers, options, status):
    server = serve(**options)
    for below in ("", "/", "/-/policy.json"):
        assert status_of(server.url, below, **headers) == status, below
    # The files are public, but a page whose name was made to resolve to this machine gets nothing from here.
    assert status_of(server.url, "/-/page.js", **headers) == (status if "host" in headers else 200)


def test_the_page_is_told_what_a_session_of_its_origin_would_be(serve):
    server = serve(allow_origin=["http://ci.example"])
    for origin, status in (("http://evil.example", 403), ("http://ci.example", 200), ("null", 403)):
        response, body = get(server.url, f"/-/policy.json?{urlencode({'origin': origin})}")
        assert response.status == status, origin
        assert (b"proxy_set_header Host $http_host" in body) == (status == 403)
    # No browser has such an origin, and a refusal would repeat it.
    for origin in ("http://evil\nERROR forged", "http://evil\x1b[2J", "http://" + 400 * "x"):
        assert status_of(server.url, f"/-/policy.json?{urlencode({'origin': origin})}") == 200, origin
    # The Origin header from the browser takes precedence.
    for told, sent, status in (
        ("http://ci.example", "http://evil.example", 403),
        ("http://e", "http://ci.example", 200),
    ):
        assert status_of(server.url, f"/-/policy.json?{urlencode({'origin': told})}", Origin=sent) == status


def test_a_stranger_with_the_wrong_path_learns_nothing(serve):
    """The answer does not even reveal whether the server has that name."""
    server = serve(path="x")
    base = server.url[: -len("/x")]
    answers = {get(base, path, host=host)[1] for path in ("/", "/y/-/policy.json") for host in ("evil.example", None)}
    assert answers == {b"There is nothing at this path. Check the URL.\n"}


@pytest.mark.parametrize(
    ("environ", "options", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, {}, 200),
        ({"REMOTE_ADDR": ""}, {}, 200),  # a unix socket
        ({"REMOTE_ADDR": "10.0.0.9"}, {}, 403),
        ({"REMOTE_ADDR": "10.0.0.9"}, {"allow_unauthenticated": True}, 200),
        ({"REMOTE_ADDR": "10.0.0.9"}, {"authenticators": [lambda environ: None]}, 200),  # only the policy is refused
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
