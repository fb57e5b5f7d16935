"""Which requests the server admits, over the wire: hosts, origins, other machines."""

import contextlib
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from gevent.pywsgi import WSGIServer

from dockerexec_ws import DockerExecServer, Handler, SettingsError, create_app
from tests.access.handshake import bearer, request, status_of
from tests.settings.command import run, running

OURS = "10.231.7.1"  # this machine's end of the cable
OPEN = {"allow_unauthenticated": True}


# Hosts


@pytest.mark.parametrize(
    ("host", "options", "status"),
    [
        ("127.0.0.1", {}, 101),
        ("LocalHost:1", {}, 101),
        ("[::1]:8080", {}, 101),
        ("evil.example", {}, 403),
        ("127.0.0.1.evil.example", {}, 403),
        ("localhost@evil.example", {}, 403),
        ("", {}, 403),
        ("shell.example:8080", {"allow_host": ["other.example", "Shell.example"], **OPEN}, 101),
        ("evil.example", {"allow_host": ["shell.example"], **OPEN}, 403),
        ("evil.example", {"allow_host": ["*"], **OPEN}, 101),
    ],
)
def test_the_host(serve, host, options, status):
    """A page whose name was made to resolve to this machine (DNS rebinding) sends its own name as the host."""
    assert status_of(serve(**options).url, host=host) == status


def test_rebinding_is_refused_whatever_the_origin(serve):
    """For the browser such a page has the same origin as the server."""
    url = serve().url
    port = urlsplit(url).port
    assert status_of(url, [("Origin", f"http://evil.example:{port}")], host=f"evil.example:{port}") == 403


def test_a_forwarded_host_counts_from_a_trusted_proxy_only(serve):
    headers = [("X-Forwarded-Host", "shell.example")]
    assert status_of(serve(allow_host=["shell.example"], **OPEN).url, headers, host="inner") == 403
    url = serve(allow_host=["shell.example"], trusted_proxy=["127.0.0.1/32"], **OPEN).url
    assert status_of(url, headers, host="inner") == 101
    assert status_of(url, [*headers, ("Origin", "https://shell.example")], host="inner") == 101
    assert status_of(url, [*headers, ("Origin", "http://inner")], host="inner") == 403


# Origins


@pytest.mark.parametrize(
    ("origin", "allow_origin", "status"),
    [
        ("http://{netloc}", [], 101),
        ("null", [], 403),
        ("http://evil.example", [], 403),
        ("https://app.example", ["https://app.example"], 101),
        ("https://app.example", ["https://App.example/"], 101),
        ("http://{netloc}", ["https://app.example"], 101),  # in addition to its own
        ("http://app.example", ["https://app.example"], 403),
        ("https://app.example:444", ["https://app.example"], 403),
        ("https://app.example.evil.example", ["https://app.example"], 403),
        ("null", ["https://app.example", "null"], 403),  # the origin of any sandboxed page
        ("http://evil.example", ["*"], 101),
        ("null", ["*"], 403),
    ],
)
def test_the_origin(serve, origin, allow_origin, status):
    url = serve(allow_origin=allow_origin).url
    assert status_of(url, [("Origin", origin.format(netloc=urlsplit(url).netloc))]) == status


def test_a_foreign_origin_is_refused_with_a_right_token_too(serve, token_file):
    url = serve(token_file=token_file[1]).url
    assert status_of(url, [("Origin", "http://evil.example"), *bearer(token_file[0])]) == 403


# Other machines


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "::ffff:192.0.2.1"])
def test_a_server_does_not_start_for_strangers(host):
    with pytest.raises(SettingsError, match=r"--token-file.*--allow-unauthenticated"):
        DockerExecServer("c", host=host, port=0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_a_server_for_this_machine_alone(host):
    assert DockerExecServer("c", host=host, port=0).url


def test_a_listener_for_strangers():
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))  # without listen(), nobody can connect
        with pytest.raises(SettingsError, match="--allow-unauthenticated"):
            DockerExecServer("c", listener=listener)
        DockerExecServer("c", listener=listener, allow_unauthenticated=True)


def test_the_command_line_does_not_start_for_strangers():
    for arguments in ([], ["--check-config"]):
        result = run("--container", "c", "--host", "0.0.0.0", "--port", "0", *arguments)
        assert result.returncode == 1
        assert result.stdout == ""
        for flag in ("--token-file", "--allow-unauthenticated"):
            assert flag in result.stderr
        assert "Traceback" not in result.stderr


def from_outside(cable, url, headers=()):
    """Return the status that a machine at the other end of the cable gets."""
    program = (
        "import socket, sys; sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10); "
        "sock.sendall(sys.stdin.buffer.read()); print(sock.makefile('rb').readline().decode()); sock.close()"
    )
    parts = urlsplit(url)
    result = subprocess.run(
        ["ip", "netns", "exec", cable, sys.executable, "-c", program, parts.hostname, str(parts.port)],
        input=request(url, headers),
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
    )
    return int(result.stdout.split()[1])


def test_everybody_gets_in_where_that_is_wanted(cable, docker_host, container):
    """Each start says so, because the option may be a forgotten line in a unit file."""
    arguments = ("--container", container, "--host", OURS, "--port", "0", "--allow-unauthenticated")
    for _ in range(2):
        with running(*arguments, DOCKER_HOST=docker_host) as (process, url):
            assert urlsplit(url).hostname == OURS
            assert from_outside(cable, url) == 101
            process.terminate()
            _, stderr = process.communicate(timeout=20)
        (line,) = stderr.splitlines()
        assert "--allow-unauthenticated" in line


def test_other_machines_with_a_token(cable, serve, token_file, caplog):
    url = serve(host=OURS, token_file=token_file[1]).url
    assert from_outside(cable, url) == 401
    assert from_outside(cable, url, bearer(token_file[0])) == 101
    assert "allow-unauthenticated" not in caplog.text


def test_other_machines_through_a_server_of_the_callers(cable, docker_host, container):
    """The application sees where a request comes from, but not where its server listens."""
    for options, status in (({}, 403), ({"allow_unauthenticated": True}, 101)):
        app = create_app(container, docker_host=docker_host, path="x", **options)
        server = WSGIServer((OURS, 0), app, handler_class=Handler, log=None)
        server.start()
        try:
            url = f"ws://{OURS}:{server.server_port}/x"
            assert from_outside(cable, url) == status
        finally:
            app.close()
            server.stop(timeout=0)


@pytest.mark.parametrize(
    ("environ", "options", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, {}, 426),  # admitted, but this is not a handshake
        ({"REMOTE_ADDR": ""}, {}, 426),  # a unix socket
        ({"REMOTE_ADDR": "10.0.0.9"}, {}, 403),
        ({"REMOTE_ADDR": "::ffff:10.0.0.9"}, {}, 403),
        ({"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, {}, 403),
        (
            {"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
            {"trusted_proxy": ["10.0.0.0/8"]},
            403,  # the proxy's loopback address is not this machine's
        ),
        (
            {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "10.0.0.9"},
            {"trusted_proxy": ["127.0.0.1/32"]},
            403,
        ),
        ({"REMOTE_ADDR": "10.0.0.9"}, {"allow_unauthenticated": True}, 426),
    ],
)
def test_where_a_request_comes_from(docker_host, container, environ, options, status):
    request = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/x",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_SEC_WEBSOCKET_VERSION": "13",
    }
    answers = []
    with contextlib.closing(create_app(container, docker_host=docker_host, path="x", **options)) as app:
        body = app(request | environ, lambda status, headers: answers.append(status))
    assert answers[0].startswith(str(status))
    assert (b"--allow-unauthenticated" in b"".join(body)) == (status == 403)
