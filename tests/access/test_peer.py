"""Find where a request comes from and where it goes."""

import pytest

from dockerexec_ws.access.identity import LOCAL_ADDRESS
from dockerexec_ws.access.peer import TrustedProxies, allowed_host, is_loopback, same_origin
from dockerexec_ws.errors import SettingsError


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *[(address, True) for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "")],
        *[(address, False) for address in ("10.0.0.1", "0.0.0.0", "::", "nonsense")],
    ],
)
def test_loopback(address, expected):
    assert is_loopback(address) == expected


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("9.9.9.9", "1.2.3.4", "9.9.9.9"),  # the sender is not a trusted proxy
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),  # the client itself sent the first address
        ("10.0.0.1", "1.2.3.4, 10.0.0.2", "1.2.3.4"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1"),
        ("", "1.2.3.4", ""),
    ],
)
def test_the_clients_address(remote, forwarded, expected):
    environ = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}
    assert TrustedProxies(["10.0.0.0/8"]).client_address(environ) == expected


def test_forwarded_host_and_scheme_count_from_a_trusted_proxy_only():
    proxies = TrustedProxies(["10.0.0.0/8", "fd00::/8"])
    headers = {"HTTP_HOST": "inner", "HTTP_X_FORWARDED_HOST": "outer.example", "HTTP_X_FORWARDED_PROTO": "https"}
    trusted = headers | {"REMOTE_ADDR": "10.0.0.1", "wsgi.url_scheme": "http"}
    assert (proxies.host(trusted), proxies.scheme(trusted)) == ("outer.example", "https")
    stranger = trusted | {"REMOTE_ADDR": "9.9.9.9"}
    assert (proxies.host(stranger), proxies.scheme(stranger)) == ("inner", "http")
    silent = {"HTTP_HOST": "inner", "REMOTE_ADDR": "fd00::1"}
    assert (proxies.host(silent), proxies.scheme(silent)) == ("inner", None)
    # A proxy on this machine that is not configured as trusted may speak TLS.
    assert TrustedProxies([]).scheme({"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http"}) is None


def test_what_is_no_network():
    with pytest.raises(SettingsError, match=r"10\.0\.0\.0/8"):
        TrustedProxies(["10.0.0.1/8"])


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "expected"),
    [
        ("http://a.example", "a.example", None, True),
        ("https://a.example", "a.example:443", None, True),
        ("http://A.example:80", "a.example", "http", True),
        ("https://a.example", "a.example", "http", False),
        ("http://a.example:8080", "a.example", None, False),
        ("http://b.example", "a.example", None, False),
        ("http://a.example.b.example", "a.example", None, False),
        ("http://a.example:x", "a.example", None, False),
        ("null", "a.example", None, False),
        ("", "a.example", None, False),
        ("file://", "", None, False),
        ("http://[::1]:8080", "[::1]:8080", None, True),
    ],
)
def test_same_origin(origin, host, scheme, expected):
    assert same_origin(origin, host, scheme) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[(host, True) for host in ("localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:80", "10.1.1.1:8080")],
        *[(host, True) for host in ("shell.example", "Shell.Example.:443")],
        *[
            (host, False)
            for host in ("evil.example", "", ":80", "10.1.1.2", "localhost.evil.example", "[::1", "a@localhost:x")
        ],
    ],
)
def test_allowed_hosts(host, expected):
    assert allowed_host(host, {LOCAL_ADDRESS: "10.1.1.1"}, ["shell.example"]) == expected
