"""Strangers: every request that is possible without credentials, and hostile queries.

The engine is a stand-in, which records all requests to it: none of these may lead to an exec.
"""

import logging
import pathlib
import random
import socket
from urllib.parse import quote_from_bytes, urlsplit

import gevent
import pytest
from gevent.pool import Pool

import dockerexec_ws
from dockerexec_ws import DockerExecServer
from dockerexec_ws.access.token_file import new_token
from dockerexec_ws.protocol.v1 import Code
from dockerexec_ws.web.page import UNBUILT
from tests.standin import StandInEngine

PAGE = pathlib.Path(dockerexec_ws.__file__).parent / "page"
TARGETS = [
    "/",
    "/x",
    "/x/",
    "/x/y",
    "/x/y/z",
    "/x/-",
    "/x/-/page.js",
    "/x/-/policy.json",
    "/x/-/../../server/page.py",
    "/x/-/nothing",
    "//x",
    "/x//",
    "/x/..",
    "/./x",
    "/y/../x",
    "/%78",
    "/%2578",
    "/x%2f",
    "/x%00",
    "/x/%2e%2e/%2e%2e/version",
    "/x/%ff",
    "/X",
    "/xx",
    "/x;y",
    "/x#y",
    "/x?command=true",
    "/x?",
    "/x/c?command=true",
    "?command=true",
    "x",
    "*",
    "",
    "http://127.0.0.1/x?command=true",
    "http://evil.example/x",
    "127.0.0.1:80",
    "/containers/json",
    "/x/" + 300 * "y",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "NONSENSE", "get", "G\x01T"]
UPGRADE = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
# The only texts that a stranger may get, besides gevent's answers to malformed requests.
REFUSALS = {
    b"",
    b"There is nothing at this path. Check the URL.\n",
    b"Authentication is needed.\n",
    b"Too many failed authentications. Try again later.\n",
    b"This server is not known by that host name. A proxy in front of it has to pass on the Host header (nginx: "
    b"proxy_set_header Host $http_host). The server's operator can allow other names with --allow-host.\n",
    b"This path answers only GET and HEAD requests.\n",
    f"{UNBUILT}\n".encode(),
}
# Anybody may also get the page and its files. They are the same for all, and the page asks for a token.
PAGES = {
    (PAGE / "index.html").read_bytes().replace(b"{{token}}", b"required").replace(b"{{assets}}", assets)
    for assets in (b"./-/", b"./x/-/")
} | {(PAGE / "page.js").read_bytes()}


@pytest.fixture
def engine(tmp_path, monkeypatch):
    # The only exec that a server makes for itself: it checks whether it can end other processes.
    monkeypatch.setattr("dockerexec_ws.web.backend.Killer.check", lambda *_: None)
    with StandInEngine(tmp_path / "engine.sock") as engine:
        yield engine


@pytest.fixture
def serve_strangers(engine):
    """A function that starts a server on the stand-in engine."""
    servers = []

    def start(container_id=None, **options):
        server = DockerExecServer(container_id, port=0, path="x", docker_host=engine.address, **options)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def answer(server, request):
    """Send *request*, then end the sending side so that the server closes; return all that the server sent."""
    with gevent.Timeout(15), socket.create_connection(("127.0.0.1", urlsplit(server.url).port)) as sock:
        sock.sendall(request)
        answered = b""
        try:
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                answered += data
        except OSError:
            pass
        return answered


def execs(engine):
    """The requests to the engine that do more than read."""
    return [request for request in engine.requests if not request.startswith("GET")]


def assert_untroubled(caplog):
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


def test_no_route_and_no_method_without_credentials(serve_strangers, engine, tmp_path, caplog, capfd, monkeypatch):
    caplog.set_level(logging.DEBUG)
    # Each request counts as a failed authentication; none may be refused for their number.
    monkeypatch.setattr("dockerexec_ws.access.admission.MOST_FAILURES", 10**6)
    (tmp_path / "tokens").write_text(f"{new_token('somebody')[1]}\n")
    fixed = serve_strangers("c", token_file=tmp_path / "tokens")
    chosen = serve_strangers(allow_container=["*"], token_file=tmp_path / "tokens")
    asked = len(engine.requests)
    seen = set()

    def try_one(server, method, target, headers):
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        answered = answer(server, "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        if not answered:
            return  # the server closed without an answer
        head, _, body = answered.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        case = (method, target, status, body)
        if status == 200:
            # In the absolute form the target names the host; the header does not count.
            assert headers == {"Host": "127.0.0.1"} or target.startswith("http://127.0.0.1/"), case
            assert body in ({b""} if method == "HEAD" else PAGES), case
            assert method in ("GET", "HEAD"), case
        else:
            assert 400 <= status < 500 or body in (b"", f"{UNBUILT}\n".encode()), case
            assert body in REFUSALS or status == 400, case
        assert b"c0ffee" not in answered, case
        assert b"Traceback" not in answered, case
        seen.add(status)

    pool = Pool(16)
    greenlets = [
        pool.spawn(try_one, server, method, target, headers)
        for server in (fixed, chosen)
        for method in METHODS
        for target in TARGETS
        for headers in (UPGRADE, {"Host": "127.0.0.1"}, UPGRADE | {"Host": "evil.example"}, {})
    ]
    gevent.joinall(greenlets, raise_error=True)
    assert {401, 404, 405} <= seen
    assert seen & {200, 503}  # the page, or that it is not built
    assert engine.requests[asked:] == []
    assert_untroubled(caplog)
    assert "Traceback" not in capfd.readouterr().err


NAMES = [
    "command",
    "tty",
    "user",
    "workdir",
    "env",
    "rows",
    "columns",
    "privileged",
    "token",
    "container",
    "Command",
    "",
]


def piece(chance):
    """A hostile value, percent-encoded or raw."""
    kind = chance.randrange(9)
    if kind == 0:
        raw = chance.randbytes(chance.randrange(64))
    elif kind == 1:
        raw = chance.choice([b"\0", b"A=\0", b"A\0=1", b"\0" * 99])
    elif kind == 2:
        raw = chance.choice([b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"])
    elif kind == 3:
        raw = chance.choice([b"A", b"%", b"=", b"\xc3\xa9"]) * chance.randrange(2000)
    elif kind == 4:
        raw = bytes(chance.randrange(32) for _ in range(chance.randrange(1, 16)))
    elif kind == 5:
        raw = chance.choice([b"%", b"%%", b"%zz", b"%0", b"%u0000", b"%25%30%30", b"+%2B", b"\r\nX: y", b"&;#?"])
    elif kind == 6:
        raw = chance.choice([b"0", b"-1", b"1e9", b"65535", b"65536", b"9" * 5000, b"\xd9\xa1", b" 1", b"1_0", b"NaN"])
    elif kind == 7:
        raw = chance.choice([b"true", b"TRUE", b"1", b"root", b"0:0", b"/", b"../../etc", b"LD_PRELOAD=/x", b"$(id)"])
    else:
        raw = chance.choice(["\u202e", "\ufeff", "\U0010ffff", "\u0130", "e\u0301"]).encode()
    if chance.random() < 0.6:
        return quote_from_bytes(raw, safe="").encode()
    # Raw, without the characters that would end the request line.
    return raw.translate(None, b" \r\n")


def hostile_target(chance):
    fields = [chance.choice(NAMES).encode() + b"=" + piece(chance) for _ in range(chance.choice([0, 1, 2, 3, 5, 200]))]
    if chance.random() < 0.5:  # an honest field among the others
        fields.insert(0, b"command=never-sent-by-anybody")
    chance.shuffle(fields)
    container = chance.choice([b"", b"/", b"/c", b"/c", b"/" + piece(chance)])
    return b"/x" + container + b"?" + chance.choice([b"&", b"&", b"&", b";", b"&&"]).join(fields)


def verdict(answered):
    """Classify an answer: ("http", status), or ("close", code) after an error message."""
    head, _, rest = answered.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status != 101:
        return "http", status
    messages = []
    while rest:
        opcode, length, header = rest[0] & 15, rest[1] & 127, 2
        if length == 126:
            length, header = int.from_bytes(rest[2:4], "big"), 4
        messages.append((opcode, rest[header : header + length]))
        rest = rest[header + length :]
    (_, error), (opcode, close) = messages
    assert error[0] == Code.ERROR
    assert opcode == 8
    return "close", int.from_bytes(close[:2], "big")


def hostile_queries(serve_strangers, engine, caplog, capfd, count, seed):
    caplog.set_level(logging.INFO)
    generator = random.Random(seed)
    # Everything but commands is allowed, so that the server looks at the other parameters.
    lax = {"allow_user": ["*"], "allow_workdir": ["*"], "allow_env": ["*"], "allow_privileged": True}
    lax |= {"allow_command": [], "max_sessions": 100, "allow_unauthenticated": True}
    fixed, chosen = serve_strangers("c", **lax), serve_strangers(allow_container=["*"], **lax)
    headers = "".join(f"\r\n{name}: {value}" for name, value in UPGRADE.items()).encode()
    verdicts = set()

    def try_one(server, target):
        answered = answer(server, b"GET " + target + b" HTTP/1.1" + headers + b"\r\n\r\n")
        if len(target) < 8000:
            assert answered, target
        if answered:
            found = verdict(answered)
            assert found in {("close", 1008), ("close", 1011), ("close", 1013)} or 400 <= found[1] < 500, (
                target,
                found,
            )
            verdicts.add(found)

    cases = (((fixed, chosen)[number % 2], hostile_target(generator)) for number in range(count))
    for _ in Pool(16).imap_unordered(lambda case: try_one(*case), cases, maxsize=64):
        pass
    assert {("close", 1008), ("http", 404)} <= verdicts
    assert execs(engine) == []
    assert_untroubled(caplog)
    assert "Traceback" not in capfd.readouterr().err


def test_hostile_queries(serve_strangers, engine, caplog, capfd):
    hostile_queries(serve_strangers, engine, caplog, capfd, 300, seed=1)


@pytest.mark.slow
def test_many_hostile_queries(serve_strangers, engine, caplog, capfd):
    hostile_queries(serve_strangers, engine, caplog, capfd, 10_000, seed=2)
