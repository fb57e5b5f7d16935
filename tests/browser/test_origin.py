"""Which web pages get in, in a real browser. Only a browser can show which Origin and Host it sends."""

import base64
import contextlib
import json

import pytest
from gevent.pywsgi import WSGIServer

from dockerexec_ws import Handler, mount
from dockerexec_ws.access.bearer import TOKEN_SUBPROTOCOL
from dockerexec_ws.access.token_file import new_token
from tests.browser.conftest import Tab

QUERY = "command=echo&command=hi"
# Makes a page open a WebSocket with a URL and subprotocols; returns what the page saw.
ATTEMPT = """
([url, protocols]) => new Promise((resolve) => {
  const seen = {origin: location.origin, opened: false, protocol: null, stdout: '', exit: null, errors: []};
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => { seen.opened = true; seen.protocol = socket.protocol; };
  socket.onmessage = ({data}) => {
    const [code, ...rest] = new Uint8Array(data);
    const text = new TextDecoder().decode(new Uint8Array(rest));
    if (code === 1) seen.stdout += text;
    if (code === 200) seen.exit = rest[0];
    if (code === 202) seen.errors.push(text);
  };
  socket.onclose = ({code}) => { seen.close = code; resolve(seen); };
})
"""


def page(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<!doctype html><title>page</title>"]


class Site:
    """A page at ``http://NAME:PORT/``, and the application at ``/x`` on the same server; *audit* is its audit log."""

    def __init__(self, server, mounted, audit):
        self.port = server.server_port
        self.app = mounted.app
        self.execs = []
        self._audit = audit
        self.app.subscribe("session", self.execs.append)

    def page(self, name="127.0.0.1"):
        return f"http://{name}:{self.port}/"

    def url(self, name="127.0.0.1"):
        return f"ws://{name}:{self.port}/x?{QUERY}"

    def refusals(self):
        """Return the refusals in the audit log as pairs: the page's origin, and the reason."""
        records = map(json.loads, self._audit.read_text().splitlines())
        return [(record["origin"], record["reason"]) for record in records if record["event"] == "refusal"]


@pytest.fixture
def serve_site(docker_host, container, tmp_path):
    """A function that serves a page and the application on one server."""
    with contextlib.ExitStack() as stack:

        def start(**options):
            audit = tmp_path / "audit"
            mounted = mount(page, container, docker_host=docker_host, path="x", audit_log=audit, **options)
            stack.callback(mounted.app.close)
            server = WSGIServer(("127.0.0.1", 0), mounted, handler_class=Handler, log=None)
            server.start()
            stack.callback(server.stop, timeout=0)
            return Site(server, mounted, audit)

        yield start


@pytest.fixture
def elsewhere():
    """The port of another server on this machine, which has another page."""
    server = WSGIServer(("127.0.0.1", 0), page, log=None)
    server.start()
    yield server.server_port
    server.stop(timeout=0)


@pytest.fixture
def browse(browser):
    """A function that makes attempts to connect; returns what the page of each attempt saw."""

    def attempt(page, url, protocols=()):
        tab = Tab(browser, "attempt")
        tab("open", page)
        try:
            return tab("evaluate", ATTEMPT, [url, list(protocols)])
        finally:
            tab("close")

    return lambda *attempts: [attempt(**one) for one in attempts]


def subprotocols(token):
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return ["dockerexec-ws", TOKEN_SUBPROTOCOL + encoded]


def assert_refused(seen):
    assert (seen["opened"], seen["stdout"], seen["exit"], seen["close"]) == (False, "", None, 1006)


def assert_said_hi(seen):
    assert (seen["stdout"], seen["exit"], seen["errors"], seen["close"]) == ("hi\n", 0, [], 1000)


def test_only_the_page_of_the_same_origin_gets_in(browse, serve_site, elsewhere):
    site = serve_site()
    other_port, other_name, own = browse(
        {"page": f"http://127.0.0.1:{elsewhere}/", "url": site.url()},
        {"page": f"http://evil.example:{elsewhere}/", "url": site.url()},
        {"page": site.page(), "url": site.url()},
    )
    for seen in (other_port, other_name):
        assert_refused(seen)
    assert_said_hi(own)
    assert own["protocol"] == ""
    assert [origin for origin, _ in site.refusals()] == [
        f"http://127.0.0.1:{elsewhere}",
        f"http://evil.example:{elsewhere}",
    ]
    assert len(site.execs) == 1


def test_a_page_whose_name_is_made_to_resolve_to_the_server(browse, serve_site):
    """DNS rebinding: to the browser, page and server are the same site, so that Origin and Host agree."""
    site = serve_site(allow_host=["good.example"], allow_unauthenticated=True)
    rebound, allowed = browse(
        {"page": site.page("evil.example"), "url": site.url("evil.example")},
        {"page": site.page("good.example"), "url": site.url("good.example")},
    )
    assert rebound["origin"] == f"http://evil.example:{site.port}"
    assert_refused(rebound)
    assert_said_hi(allowed)
    ((origin, reason),) = site.refusals()
    assert origin == rebound["origin"]
    assert "host name" in reason
    assert len(site.execs) == 1


def test_a_token_as_second_subprotocol(browse, serve_site, tmp_path):
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    site = serve_site(token_file=tmp_path / "tokens")
    with_token, wrong, without = browse(
        *(
            {"page": site.page(), "url": site.url(), "protocols": protocols}
            for protocols in (subprotocols(token), subprotocols(token + "x"), ["dockerexec-ws"])
        )
    )
    assert_said_hi(with_token)
    assert with_token["protocol"] == "dockerexec-ws"
    assert_refused(wrong)
    assert_refused(without)
    assert [session.client.name for session in site.execs] == ["somebody"]
    assert [reason for _, reason in site.refusals()] == ["Authentication is needed."] * 2
