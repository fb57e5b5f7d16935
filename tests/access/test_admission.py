"""Who gets in, over the wire: tokens, identities, hosts, origins, other machines."""

import base64
import contextlib
import json
import logging
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from gevent.pywsgi import WSGIServer

from dockerexec_ws import DockerExecServer, Handler, SettingsError, create_app
from dockerexec_ws.access.admission import MOST_FAILURES
from dockerexec_ws.access.bearer import TOKEN_SUBPROTOCOL
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.policy import Narrowing
from dockerexec_ws.access.token_file import new_token
from tests.conftest import wait_until
from tests.peer import HandshakeError, Peer, Transcript
from tests.settings.test_cli import run, running

OURS = "10.231.7.1"  # of the cable


@pytest.fixture
def token_file(tmp_path):
    """A file with a token of alice's, which is its attribute's value; returns both."""
    token, line = new_token("alice")
    (tmp_path / "tokens").write_text(f"# ours\n{line}\n")
    return token, tmp_path / "tokens"


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


def encoded(token):
    return TOKEN_SUBPROTOCOL + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def request(url, headers=(), host=None):
    """The bytes of a proper request with *headers*."""
    parts = urlsplit(url)
    lines = [
        f"GET {parts.path}?command=true HTTP/1.1",
        f"Host: {parts.netloc if host is None else host}",
        *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(url, headers=(), host=None, source="127.0.0.1"):
    """Send a request from the address *source*; returns the status, the headers by lower-case name, and the body."""
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=15, source_address=(source, 0)) as sock,
        sock.makefile("rb") as reader,
    ):
        sock.sendall(request(url, headers, host))
        status = int(reader.readline().split()[1])
        pairs = [line.decode().strip().split(": ", 1) for line in iter(reader.readline, b"\r\n")]
        found = {name.lower(): value for name, value in pairs}
        return status, found, reader.read(int(found.get("content-length", 0)))


def status_of(*arguments, **options):
    return ask(*arguments, **options)[0]


@pytest.fixture
def names(serve):
    """A function that starts a server, and returns its URL and the list of the names of its sessions' clients."""

    def names(**options):
        server = serve(**options)
        found = []
        server.subscribe("session", lambda session: found.append(session.client.name))
        return server.url, found

    return names


# Tokens


def test_no_token_and_a_wrong_one_get_the_same_answer(serve, token_file):
    """Nobody learns whether a token was nearly right."""
    url = serve(token_file=token_file[1]).url
    status, headers, body = ask(url)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    for wrong in (
        bearer("wrong"),
        bearer(token_file[0] + "x"),
        bearer(token_file[0].swapcase()),
        [("Authorization", f"Basic {token_file[0]}")],
        [("Sec-WebSocket-Protocol", f"dockerexec-ws, {encoded('wrong')}")],
        [*bearer(token_file[0]), ("Sec-WebSocket-Protocol", f"dockerexec-ws, {encoded('wrong')}")],
    ):
        answer = ask(url, wrong)
        assert answer[0] == status
        assert answer[2] == body
        assert {**answer[1], "date": ""} == {**headers, "date": ""}


def test_a_token_in_the_url_does_not_count(serve, token_file):
    """URLs are in logs."""
    url = serve(token_file=token_file[1]).url
    with pytest.raises(HandshakeError) as refused:
        Peer(url, query=f"command=true&token={token_file[0]}&access_token={token_file[0]}")
    assert refused.value.response.status_code == 401


def test_a_token_in_the_header(names, token_file):
    url, found = names(token_file=token_file[1])
    with Peer(url, "true", headers=bearer(token_file[0])) as peer:
        assert Transcript(peer).exit_code == 0
    assert found == ["alice"]


def test_a_token_as_a_subprotocol(names, token_file):
    """A browser's WebSocket sets no header, and closes when none of its subprotocols is answered."""
    url, found = names(token_file=token_file[1])
    with Peer(url, "true", subprotocols=["dockerexec-ws", encoded(token_file[0])]) as peer:
        assert peer.protocol.subprotocol == "dockerexec-ws"
        assert Transcript(peer).exit_code == 0
    assert found == ["alice"]
    both = [("Sec-WebSocket-Protocol", f"{encoded(token_file[0])},dockerexec-ws")]
    status, headers, _ = ask(url, both)
    assert (status, headers["sec-websocket-protocol"]) == (101, "dockerexec-ws")
    status, headers, _ = ask(url, [("Sec-WebSocket-Protocol", encoded(token_file[0]))])
    assert status == 101
    assert "sec-websocket-protocol" not in headers


def test_tokens_are_in_no_log(serve, token_file, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    url = serve(token_file=token_file[1], audit_log=tmp_path / "audit").url
    protocol = encoded(token_file[0])
    for headers in (bearer(token_file[0]), [("Sec-WebSocket-Protocol", f"dockerexec-ws, {protocol}")]):
        assert status_of(url, headers) == 101
    assert status_of(url, bearer("wrong-token")) == 401
    wait_until(lambda: len((tmp_path / "audit").read_text().splitlines()) == 5)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("dockerexec_ws")]
    logged = "\n".join([*ours, (tmp_path / "audit").read_text()])
    assert "alice" in logged
    for secret in (token_file[0], protocol, "wrong-token"):
        assert secret not in logged


def test_a_refusal_is_in_the_audit_log(serve, token_file, tmp_path):
    url = serve(token_file=token_file[1], audit_log=tmp_path / "audit").url
    assert status_of(url, [("Origin", url.replace("ws:", "http:"))]) == 401
    assert status_of(url, [("Origin", "http://evil.example")]) == 403
    assert status_of(url + "y") == 404
    first, second = map(json.loads, (tmp_path / "audit").read_text().splitlines())
    assert (first["event"], first["address"], first["identity"]) == ("refusal", "127.0.0.1", None)
    assert second["origin"] == "http://evil.example"


def test_too_many_failures_of_an_address(serve, token_file):
    """A right token does not help then: who guesses is not told that it was right. Others are not concerned."""
    url = serve(token_file=token_file[1]).url
    for _ in range(MOST_FAILURES):
        assert status_of(url, bearer("wrong")) == 401
    for headers in ([], bearer(token_file[0])):
        status, answer, _ = ask(url, headers)
        assert status == 429
        assert 0 < int(answer["retry-after"]) <= 60
        assert "www-authenticate" not in answer
    assert status_of(url, bearer(token_file[0]), source="127.0.0.2") == 101


def test_those_who_get_in_are_not_counted_as_failures(serve, token_file):
    url = serve(token_file=token_file[1]).url
    for _ in range(MOST_FAILURES + 1):
        assert status_of(url, bearer(token_file[0])) == 101


def test_failures_behind_a_proxy_are_counted_by_the_clients_address(serve, token_file):
    """Or one client could lock out all."""
    url = serve(token_file=token_file[1], trusted_proxy=["127.0.0.1/32"]).url
    for _ in range(MOST_FAILURES):
        assert status_of(url, [("X-Forwarded-For", "192.0.2.1")]) == 401
    assert status_of(url, [("X-Forwarded-For", "192.0.2.1"), *bearer(token_file[0])]) == 429
    assert status_of(url, [("X-Forwarded-For", "192.0.2.1, 192.0.2.2"), *bearer(token_file[0])]) == 101


def test_token_makes_a_token_and_its_line(docker_host, container, tmp_path):
    result = run("token", "alice")
    assert result.returncode == 0
    (token,) = result.stdout.splitlines()
    (tmp_path / "tokens").write_text(result.stderr)
    arguments = ("--container", container, "--port", "0", "--token-file", str(tmp_path / "tokens"))
    with running(*arguments, "--audit-log", str(tmp_path / "audit"), DOCKER_HOST=docker_host) as (_, url):
        with Peer(url, "true", headers=bearer(token)) as peer:
            assert Transcript(peer).exit_code == 0
        assert status_of(url) == 401
    assert json.loads((tmp_path / "audit").read_text().splitlines()[0])["identity"] == "alice"


@pytest.mark.parametrize("arguments", [[""], [" x"], ["a:b"], []])
def test_token_for_nobody(arguments):
    result = run("token", *arguments)
    assert result.returncode in (1, 2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


# Other ways to tell who one is


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("bob", ["bob"]), (Identity("carol"), ["carol"]), (None, []), ("", []), (Identity(""), [])],
)
def test_an_authenticator_of_the_callers_own(names, answer, expected):
    seen = []
    url, found = names(authenticators=[lambda environ: seen.append(environ["HTTP_COOKIE"]) or answer])
    assert status_of(url, [("Cookie", "a=b")]) == (101 if expected else 401)
    assert seen == ["a=b"]
    wait_until(lambda: found == expected)


def test_an_authenticator_that_fails_lets_nobody_in(names):
    url, found = names(authenticators=[lambda environ: 1 / 0])
    assert status_of(url) == 500
    assert found == []


def test_authenticators_are_asked_in_turn(names, token_file):
    url, found = names(authenticators=[lambda environ: environ.get("HTTP_X_KEY")], token_file=token_file[1])
    assert status_of(url, [("X-Key", "bob")]) == 101
    assert status_of(url, bearer(token_file[0])) == 101
    assert status_of(url) == 401
    wait_until(lambda: found == ["bob", "alice"])


def test_what_an_identity_leaves_of_the_policy(serve):
    only_echo = Identity("bob", Narrowing(command=("echo", "hi")))
    url = serve(authenticators=[lambda environ: only_echo]).url
    assert Transcript(Peer(url, "sh")).errors == ["command: not allowed"]
    assert Transcript(Peer(url)).stdout == b"hi\n"


def test_the_header_of_a_trusted_proxy(names):
    url, found = names(identity_header="X-Forwarded-User", trusted_proxy=["127.0.0.1/32"])
    assert status_of(url, [("X-Forwarded-User", "alice")]) == 101
    wait_until(lambda: found == ["alice"])
    for headers in (
        [],
        [("X-Forwarded-User", "")],
        [("X-Forwarded-User", "alice"), ("X-Forwarded-User", "root")],  # one of them the client's
        [("X-Forwarded-User", "alice"), ("x-forwarded-user", "alice")],
        [("X_Forwarded_User", "root")],  # the same variable of CGI, by which no proxy removes it
    ):
        assert status_of(url, headers) == 401
    assert status_of(url, [("X-Forwarded-User", "alice")], source="127.0.0.2") == 401
    assert found == ["alice"]


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
        ("shell.example:8080", {"allow_host": ["other.example", "Shell.example"]}, 101),
        ("evil.example", {"allow_host": ["shell.example"]}, 403),
        ("evil.example", {"allow_host": ["*"]}, 101),
    ],
)
def test_the_host(serve, host, options, status):
    """A page whose name is made to resolve to this machine (DNS rebinding) tells its own name."""
    assert status_of(serve(**options).url, host=host) == status


def test_rebinding_is_refused_whatever_the_origin(serve):
    """Such a page is of the same origin as the server, as it names it."""
    url = serve().url
    port = urlsplit(url).port
    assert status_of(url, [("Origin", f"http://evil.example:{port}")], host=f"evil.example:{port}") == 403


def test_a_forwarded_host_counts_from_a_trusted_proxy_only(serve):
    headers = [("X-Forwarded-Host", "shell.example")]
    assert status_of(serve(allow_host=["shell.example"]).url, headers, host="inner") == 403
    url = serve(allow_host=["shell.example"], trusted_proxy=["127.0.0.1/32"]).url
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
        ("http://{netloc}", ["https://app.example"], 101),  # beside its own
        ("http://app.example", ["https://app.example"], 403),
        ("https://app.example:444", ["https://app.example"], 403),
        ("https://app.example.evil.example", ["https://app.example"], 403),
        ("null", ["https://app.example", "null"], 403),  # any sandboxed page's
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
        listener.bind(("0.0.0.0", 0))  # without listen(), nobody gets anywhere
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
    """The status that a machine at the cable's other end gets."""
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
    """And each start says so: it may be a line of a unit file that nobody remembers."""
    arguments = ("--container", container, "--host", OURS, "--port", "0", "--allow-unauthenticated")
    for _ in range(2):
        with running(*arguments, DOCKER_HOST=docker_host) as (process, url):
            assert urlsplit(url).hostname == OURS
            assert from_outside(cable, url) == 101
            process.terminate()
            _, stderr = process.communicate(timeout=5)
        (line,) = stderr.splitlines()
        assert "--allow-unauthenticated" in line


def test_other_machines_with_a_token(cable, serve, token_file, caplog):
    url = serve(host=OURS, token_file=token_file[1]).url
    assert from_outside(cable, url) == 401
    assert from_outside(cable, url, bearer(token_file[0])) == 101
    assert "allow-unauthenticated" not in caplog.text


def test_other_machines_through_a_server_of_the_callers(cable, docker_host, container):
    """The application does not see where its server listens, but where a request comes from."""
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
        ({"REMOTE_ADDR": "127.0.0.1"}, {}, 426),  # in, but for what is no handshake
        ({"REMOTE_ADDR": ""}, {}, 426),  # a unix socket
        ({"REMOTE_ADDR": "10.0.0.9"}, {}, 403),
        ({"REMOTE_ADDR": "::ffff:10.0.0.9"}, {}, 403),
        ({"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, {}, 403),
        (
            {"REMOTE_ADDR": "10.0.0.9", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
            {"trusted_proxy": ["10.0.0.0/8"]},
            403,  # the proxy's loopback is not ours
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
