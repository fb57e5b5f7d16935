"""Both clients behind a proxy: the choice of the proxy, and sessions through a real one."""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
from urllib.parse import urlsplit

import pytest
import trustme

from dockerexec_ws.access.token_file import new_token
from dockerexec_ws.client import ConnectionLost, run
from dockerexec_ws.client.proxy import proxy_for
from dockerexec_ws.errors import SettingsError
from tests.client.support import DATA
from tests.client.terminal import commands
from tests.client.terminal.commands import OWN_FAILURE, one_line
from tests.conftest import uncovered, wait_until

PASSWORD = "s3cretword"  # tinyproxy takes letters and digits only
QUOTED = "%733cretword"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


PLAIN = {"HTTP_PROXY": "http://plain:1", "HTTPS_PROXY": "http://secure:2", "ALL_PROXY": "http://all:3"}


@pytest.mark.parametrize(
    ("variables", "url", "chosen"),
    [
        ({}, "ws://h:80", None),
        (PLAIN, "ws://h:80", "plain:1"),
        (PLAIN, "wss://h:443", "secure:2"),
        ({"ALL_PROXY": "all:3"}, "wss://h:443", "all:3"),
        ({"all_proxy": "http://all"}, "ws://h:80", "all:80"),
        ({"HTTPS_PROXY": "http://secure:2"}, "ws://h:80", None),
        (PLAIN | {"http_proxy": "http://lower:4"}, "ws://h:80", "lower:4"),
        (PLAIN, "ws://localhost:80", None),
        (PLAIN, "ws://127.8.9.1:80", None),
        (PLAIN, "ws://[::1]:80", None),
        (PLAIN | {"NO_PROXY": "*"}, "ws://h:80", None),
        (PLAIN | {"no_proxy": "a, *"}, "ws://h:80", None),
        (PLAIN | {"NO_PROXY": "example.com"}, "ws://a.Example.com:80", None),
        (PLAIN | {"NO_PROXY": "x,.example.com"}, "ws://a.example.com:80", None),
        (PLAIN | {"NO_PROXY": "example.com"}, "ws://badexample.com:80", "plain:1"),
        (PLAIN | {"NO_PROXY": "h:81"}, "ws://h:80", "plain:1"),
        (PLAIN | {"NO_PROXY": "h:80"}, "ws://h:80", None),
        (PLAIN | {"NO_PROXY": "10.0.0.0/8"}, "ws://10.1.2.3:80", None),
        (PLAIN | {"NO_PROXY": "10.0.0.0/8,h"}, "ws://11.1.2.3:80", "plain:1"),
        (PLAIN | {"NO_PROXY": "11.1.2.3:80"}, "ws://11.1.2.3:80", None),
        (PLAIN | {"NO_PROXY": "fd00::/8"}, "ws://[fd00::1]:80", None),
        (PLAIN | {"NO_PROXY": "[fd00::1]"}, "ws://[fd00::1]:80", None),
        (PLAIN | {"NO_PROXY": "1"}, "ws://[fd00::1]:1", "plain:1"),
    ],
)
def test_the_proxy_of_the_environment(variables, url, chosen, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    scheme, _, place = url.partition("://")
    host, _, port = place.rpartition(":")
    proxy = proxy_for(host.strip("[]").lower(), int(port), secure=scheme == "wss", proxy=True)
    assert (None if proxy is None else str(proxy)) == chosen
    assert proxy_for("h", 80, secure=False, proxy=False) is None


def test_credentials_of_the_url():
    for user, plain in (("a", b"a:"), ("a:b", b"a:b"), ("%C3%A9:%3A%40%20", "é::@ ".encode())):
        proxy = proxy_for("h", 80, secure=False, proxy=f"http://{user}@p")
        assert base64.b64decode(proxy.authorization.removeprefix("Basic ")) == plain
        assert "Basic" not in f"{proxy} {proxy!r}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("socks5://u:secret@h:1080", "another kind: socks5"),
        ("https://u:secret@h", "another kind: https"),
        ("http://u:secret@h:port", "not that of a proxy"),
        ("http://u:secret@h/path", "not that of a proxy"),
        ("http://", "not that of a proxy"),
    ],
)
def test_what_is_no_proxy(url, said, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", url)
    for proxy, what in ((url, "The proxy's URL"), (True, "The environment's HTTPS_PROXY")):
        with pytest.raises(SettingsError, match=f"{what}.*{said}") as caught:
            run("wss://h.example/x", ["true"], proxy=proxy)
        assert "secret" not in str(caught.value)


@pytest.fixture(scope="module")
def tinyproxy(tmp_path_factory):
    """The port of a proxy that requires a password, and its log."""
    if not shutil.which("tinyproxy"):
        pytest.skip("there is no tinyproxy: install tinyproxy-bin")
    folder = tmp_path_factory.mktemp("tinyproxy")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "log"
    (folder / "conf").write_text(
        f'Port {port}\nListen 127.0.0.1\nLogFile "{log}"\nLogLevel Connect\nBasicAuth somebody {PASSWORD}\n'
    )
    process = subprocess.Popen(["tinyproxy", "-d", "-c", folder / "conf"], stdout=subprocess.DEVNULL, env=uncovered())

    def listens():
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(listens)
        yield port, log
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def proxy(tinyproxy):
    """The URL of the proxy, with the password."""
    return f"http://somebody:{QUOTED}@127.0.0.1:{tinyproxy[0]}"


def port_of(server):
    return urlsplit(server.url).port


def test_a_session_goes_through_the_proxy(server, proxy, tinyproxy):
    done = run(server.url, ["cat"], input=DATA[:3_000_000], capture_output=True, proxy=proxy)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(DATA[:3_000_000]).digest()
    assert f"CONNECT 127.0.0.1:{port_of(server)}" in tinyproxy[1].read_text()


def test_a_session_with_tls_goes_through_the_proxy(serve, proxy, tinyproxy, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    server = serve(certfile=tmp_path / "server.pem", keyfile=tmp_path / "server.pem")
    done = commands.run(
        "--proxy", proxy, "--cafile", tmp_path / "ca.pem", server.url, "--", "sh", "-c", "cat; exit 3", input=b"a"
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"a", b"", 3)
    assert f"CONNECT 127.0.0.1:{port_of(server)}" in tinyproxy[1].read_text()


def test_the_terminal_client_follows_the_environment(serve, proxy, tinyproxy, tmp_path):
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    server = serve(token_file=tmp_path / "tokens", allow_host=["127.1"])
    url = server.url.replace("127.0.0.1", "127.1")  # this machine, by a name that the client does not know
    env = {"DOCKEREXEC_WS_TOKEN": token}
    through = f"CONNECT 127.1:{port_of(server)}"
    for variables, words in (({"http_proxy": proxy, "NO_PROXY": "127.1"}, []), ({"http_proxy": proxy}, ["--no-proxy"])):
        done = commands.run(*words, url, "true", env=env | variables)
        assert done.returncode == 0, done.stderr
        assert through not in tinyproxy[1].read_text()
    done = commands.run(url, "true", env=env | {"ALL_PROXY": proxy})
    assert done.returncode == 0, done.stderr
    assert through in tinyproxy[1].read_text()


def test_the_error_names_the_proxy_but_no_password(server, proxy, tinyproxy):
    place = f"127.0.0.1:{tinyproxy[0]}"
    done = commands.run("--proxy", f"http://somebody:wrong-secret@{place}", server.url, "true")
    said = one_line(done.stderr)
    assert f"by the proxy {place}: Tunnel connection failed: 401" in said
    assert "Put a user and a password into the proxy's URL" in said
    assert "wrong-secret" not in said
    assert done.returncode == OWN_FAILURE
    with pytest.raises(ConnectionLost, match=r"407.*Put a user"):
        run(server.url, ["true"], proxy=f"http://{place}")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for url, by in ((f"ws://127.0.0.1:{port}/x", proxy), (server.url, f"http://u:{QUOTED}@127.0.0.1:{port}")):
            with pytest.raises(ConnectionLost, match=r"by the proxy 127\.0\.0\.1:") as caught:
                run(url, ["true"], proxy=by)
            assert QUOTED not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 \x1b]0;x\x07\xe2\x80\xae\r\n\r\n",
        b"\x1b[2J no HTTP\r\n\r\n",
        b"",
        b"HTTP/1.1 200 ok\r\n\r\nnoise",
    ],
)
def test_a_proxy_that_answers_nonsense(answer, listen):
    def handle(connection):
        connection.recv(65536)
        connection.sendall(answer)

    proxy = listen(handle).removesuffix("/x").replace("ws:", "http:")
    with pytest.raises(ConnectionLost, match=r"by the proxy 127\.0\.0\.1:") as caught:
        run("ws://h.example/x", ["true"], proxy=proxy)
    assert str(caught.value).isprintable()


def test_a_proxy_that_says_nothing(listen):
    proxy = listen(lambda connection: [*iter(lambda: connection.recv(65536), b"")]).removesuffix("/x")
    with pytest.raises(ConnectionLost, match=r"by the proxy .* did not answer within 0.5 s"):
        run("ws://h.example/x", ["true"], proxy=proxy.replace("ws:", "http:"), open_timeout=0.5)


def test_a_proxy_and_none(server):
    done = commands.run("--proxy", "http://h", "--no-proxy", server.url, "true")
    assert one_line(done.stderr) == "--proxy and --no-proxy contradict each other. Give one of them."
