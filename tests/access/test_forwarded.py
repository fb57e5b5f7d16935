"""Without authentication the server admits only this machine, and nobody through a proxy on it."""

import pytest

from dockerexec_ws import SettingsError
from dockerexec_ws.access.admission import STRANGER, Admission
from dockerexec_ws.access.refusal import RefusedError
from tests.peer import HandshakeError, Peer

FORWARDED = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Host", "shell.example.com"),
    ("X-Forwarded-Proto", "https"),
    ("X-Real-IP", "203.0.113.9"),
    ("Via", "1.1 proxy"),
    ("Forwarded", "for=203.0.113.9"),
    ("CF-Connecting-IP", "203.0.113.9"),
    ("CF-Ray", "x"),
    ("CDN-Loop", "x"),
    ("True-Client-IP", "203.0.113.9"),
    ("X-Amzn-Trace-Id", "x"),
    ("X-Envoy-External-Address", "203.0.113.9"),
    ("Fly-Client-IP", "203.0.113.9"),
]


@pytest.mark.parametrize("header", FORWARDED, ids=": ".join)
def test_a_forwarded_request_is_a_strangers(server, header):
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url, "true", headers=[header])
    response = refused.value.response
    assert response.status_code == 403
    assert response.body.decode() == f"{STRANGER}\n"
    for option in ("--token-file", "--trusted-proxy", "--allow-unauthenticated"):
        assert option in STRANGER


def test_a_header_of_another_kind_is_none_of_a_proxys(server):
    for header in (("X-Request-Id", "x"), ("Viable", "x"), ("X-Realm", "x")):
        with Peer(server.url, "true", headers=[header]) as peer:
            assert peer.transcript().exit_code == 0


@pytest.mark.parametrize(
    ("environ", "gets_in"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": ""}, True),  # a unix socket
        ({"REMOTE_ADDR": "", "HTTP_VIA": "1.1 proxy"}, False),
        ({"REMOTE_ADDR": "10.0.0.1"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, True),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9, 127.0.0.1"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_VIA": "1.1 proxy"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9:51234"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "[2001:db8::1]:443"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "[::1]:443"}, True),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "unknown"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "_hidden"}, False),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": ""}, False),
        ({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
    ],
)
def test_a_trusted_proxys_word_counts(environ, gets_in):
    admission = Admission([], trusted_proxies=["127.0.0.0/8"])
    environ = {"HTTP_HOST": "localhost"} | environ
    if gets_in:
        admission.check(environ)
    else:
        with pytest.raises(RefusedError, match="Only clients on the server"):
            admission.check(environ)


@pytest.mark.parametrize("option", [{"allow_unauthenticated": True}, {"authenticators": [lambda _: "alice"]}])
def test_where_clients_authenticate_or_need_not_a_proxy_may_forward(serve, option):
    with Peer(serve(**option).url, "true", headers=[("X-Forwarded-For", "203.0.113.9")]) as peer:
        assert peer.transcript().exit_code == 0


@pytest.mark.parametrize("host", ["shell.example.com", "*", "10.0.0.1", "localhost.example.com"])
def test_a_foreign_name_needs_authentication(serve, host):
    with pytest.raises(SettingsError, match=r"--allow-host.*--token-file.*--allow-unauthenticated"):
        serve(allow_host=[host])
    serve(allow_host=[host], allow_unauthenticated=True)
    serve(allow_host=[host], authenticators=[lambda _: "alice"])


@pytest.mark.parametrize("host", ["Localhost", "app.localhost", "127.0.0.2", "[::1]"])
def test_a_loopback_name_needs_none(serve, host):
    serve(allow_host=[host])
