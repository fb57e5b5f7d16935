"""The page behind a reverse proxy, at another path, and its message if it cannot work."""

import contextlib

import pytest
from gevent.pywsgi import WSGIServer

from dockerexec_ws import Handler, mount
from tests.browser.conftest import page_of
from tests.proxies import nginx_before


def test_the_page_behind_nginx_as_in_the_manual(open_tab, server, tmp_path):
    with nginx_before(page_of(server), tmp_path) as address:
        tab = open_tab(address)
        tab.wait_for_status(r"^Not connected\.$")
        tab.connect("echo hi")
        tab.wait_for("hi")
        tab.wait_for_status(r"^Ended with exit code 0\.$")


def test_the_page_names_the_header_that_the_proxy_forgot(open_tab, server, tmp_path):
    with nginx_before(page_of(server), tmp_path, forget=["proxy_set_header Host"]) as address:
        tab = open_tab(address)
        origin = address.removesuffix("/shell/")
        text = rf"Connections from web pages at {origin} are not allowed, .*proxy_set_header Host \$http_host"
        tab.wait_for_status(f"^Not connected: {text}")
        tab("fill", "input[name=command]", "echo hi")
        tab("click", "#connect")
        tab.wait_for_status(f"^Could not connect: {text}")


def test_the_page_says_that_a_proxy_passes_on_no_upgrades(open_tab, server, tmp_path):
    with nginx_before(
        page_of(server), tmp_path, forget=["proxy_set_header Upgrade", "proxy_set_header Con"]
    ) as address:
        tab = open_tab(address)
        tab.wait_for_status(r"^Not connected\.$")
        tab("fill", "input[name=command]", "echo hi")
        tab("click", "#connect")
        tab.wait_for_status("^Could not connect, .* A proxy in between may not pass on the header Upgrade")


@pytest.fixture
def without_scripts(docker_host, container):
    """The address of a page whose scripts are lost on the way."""

    def lose(environ, start_response):
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return [b""]

    with contextlib.closing(mount(lose, container, docker_host=docker_host, path="x").app) as app:

        def some(environ, start_response):
            return (lose if environ["PATH_INFO"].endswith(".js") else app)(environ, start_response)

        server = WSGIServer(("127.0.0.1", 0), some, handler_class=Handler, log=None)
        server.start()
        yield f"http://127.0.0.1:{server.server_port}/x"
        server.stop(timeout=0)


def test_a_page_whose_scripts_do_not_run_says_so(open_tab, without_scripts, server):
    for tab in (open_tab(without_scripts), open_tab(page_of(server), java_script_enabled=False)):
        tab("wait_for_selector", "#unstarted")  # wait until it is visible
        assert "JavaScript modules" in tab("inner_text", "#unstarted")
        assert tab("is_disabled", "#connect")


def test_a_page_that_starts_has_nothing_to_say(tab):
    tab.wait_for_status("^Not connected")
    assert tab("evaluate", "document.getElementById('unstarted')") is None
