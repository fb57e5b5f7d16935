"""Requests that become sessions: the opening handshake, paths, origins."""

import contextlib
import logging
import socket
import struct
from urllib.parse import urlsplit

import gevent
import pytest

from tests.peer import HandshakeError, Peer, Transcript
from tests.web.raw import ask


def test_a_proper_handshake(server):
    status, headers, _ = ask(server.url)
    assert status == 101
    assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3


@pytest.mark.parametrize("connection", ["upgrade", "keep-alive, Upgrade"])
def test_connection_is_a_list_of_tokens_in_any_case(server, connection):
    assert ask(server.url, Connection=connection, Upgrade="WebSocket")[0] == 101


@pytest.mark.parametrize(
    ("request_line", "changes", "status", "header"),
    [
        ("POST /x?command=true HTTP/1.1", {}, 405, ("allow", "GET")),
        ("HEAD /x?command=true HTTP/1.1", {}, 405, ("allow", "GET")),
        ("GET /x?command=true HTTP/1.0", {}, 426, ("upgrade", "websocket")),
        ("GET /x HTTP/1.1", {"Upgrade": None}, 426, ("upgrade", "websocket")),
        ("GET /x HTTP/1.1", {"Upgrade": "h2c"}, 426, ("upgrade", "websocket")),
        ("GET /x HTTP/1.1", {"Connection": None}, 426, ("upgrade", "websocket")),
        ("GET /x HTTP/1.1", {"Connection": "NotUpgradeReally"}, 426, ("upgrade", "websocket")),
        ("GET /x HTTP/1.1", {"Sec_WebSocket_Version": "8"}, 426, ("sec-websocket-version", "13")),
        ("GET /x HTTP/1.1", {"Sec_WebSocket_Version": "x"}, 426, ("sec-websocket-version", "13")),
        ("GET /x HTTP/1.1", {"Sec_WebSocket_Version": None}, 400, None),
        ("GET /x HTTP/1.1", {"Sec_WebSocket_Key": None}, 400, None),
        ("GET /x HTTP/1.1", {"Sec_WebSocket_Key": ""}, 400, None),
        ("GET /x HTTP/1.1", {"Sec_WebSocket_Key": "too short"}, 400, None),
        ("GET /x HTTP/1.1", {"Sec_WebSocket_Key": "é" * 24}, 400, None),
        ("GET /x HTTP/1.1", {"Content_Length": "5"}, 400, None),
        ("GET /x HTTP/1.1", {"Transfer_Encoding": "chunked"}, 400, None),
        ("GET /x HTTP/1.1", {"X_Y": "a\x01b"}, 400, None),
        ("GET / HTTP/1.1", {}, 404, None),
        ("GET /xx HTTP/1.1", {}, 404, None),
        ("GET /x/y HTTP/1.1", {}, 404, None),
        ("GET /%F0%9F%98%80 HTTP/1.1", {}, 404, None),
    ],
)
def test_refused_requests(server, caplog, request_line, changes, status, header):
    if "Content_Length" in changes or "Transfer_Encoding" in changes:
        changes = changes | {"Connection": "Upgrade"}
    answer, headers, body = ask(server.url, request_line, **changes)
    assert answer == status
    assert body or "HEAD" in request_line
    if header is not None:
        assert header in headers.items()
    assert "Traceback" not in caplog.text
    assert not server.sessions


def test_a_request_that_never_ends_is_dropped(serve, capfd):
    parts = urlsplit(serve(handshake_timeout=0.3).url)
    for start in (b"", b"GE", b"GET /x HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
            sock.sendall(start)
            trickle = gevent.spawn(drip, sock)
            with contextlib.suppress(ConnectionResetError):
                while sock.recv(1000):  # read an answer, if any, up to the end
                    pass
            trickle.kill()
    assert "Traceback" not in capfd.readouterr().err


def test_a_peer_that_goes_before_its_request_is_complete_or_says_too_much(server, capfd, caplog):
    parts = urlsplit(server.url)
    start = b"GET /x-secret HTTP/1.1\r\nHost: x\r\nX-Slow: "
    for said in (start, b"GET /x-secret x HTTP/1.1\r\n\r\n", start + b"x" * 70_000, start + b"\r\nX: y" * 200):
        with contextlib.suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(said)
            gevent.sleep(0.05)
    assert ask(server.url)[0] == 101
    assert "Traceback" not in capfd.readouterr().err
    assert "secret" not in caplog.text


def drip(sock):
    with contextlib.suppress(OSError):
        while True:
            gevent.sleep(0.05)
            sock.sendall(b"x")


def test_paths_and_queries_are_in_no_log(server, caplog):
    caplog.set_level(logging.DEBUG)
    for line in ("GET /x-secret?command=secret HTTP/1.1", "GET /x?command=secret HTTP/1.1"):
        assert ask(server.url, line, Upgrade="no")[0] in (404, 426)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("dockerexec_ws")]
    assert [message for message in ours if "404" in message]
    assert not [message for message in ours if "secret" in message]


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "http://127.0.0.1:{port}/x"])
def test_the_same_origin_is_let_in(server, origin):
    url = urlsplit(server.url)
    with Peer(server.url, "true", headers=[("Origin", origin.format(port=url.port))]) as peer:
        assert Transcript(peer).exit_code == 0


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "http://evil.example:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}@evil.example",
        "http://evil.example/127.0.0.1:{port}",
        "127.0.0.1:{port}",
        "http://127.0.0.1:notaport",
        "http://[::1",
    ],
)
def test_a_foreign_origin_is_403_before_anything_happens(server, origin):
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url, "true", headers=[("Origin", origin.format(port=urlsplit(server.url).port))])
    assert refused.value.response.status_code == 403
