"""The page in a real browser: who gets in, and a correct message about every ending."""

import json
import secrets

import jwt
import pytest

from dockerexec_ws.access.token_file import new_token
from tests.browser.conftest import Browser, Tab, page_of
from tests.conftest import running_container, wait_until

SECRET = "a secret of the tests that is long enough"


@pytest.fixture
def serve_with_token(serve, tmp_path):
    """A function that starts a server that requires a token; returns both."""

    def start(**options):
        token, line = new_token("somebody")
        (tmp_path / "tokens").write_text(f"{line}\n")
        return serve(token_file=tmp_path / "tokens", **options), token

    return start


def enter_token(tab, token):
    tab("fill", "#token", token)
    tab("click", "#token-form button")


def test_too_many_sessions(open_tab, serve):
    server = serve(max_sessions=1)
    first, second = open_tab(page_of(server)), open_tab(page_of(server))
    first.connect("bash -c read")
    second.connect("bash")
    second.wait_for_status(r"^Refused: Too many sessions active!$")
    first.press("Enter")
    first.wait_for_status("^Ended")
    wait_until(lambda: not server.sessions)
    second.connect("bash -c 'exit 7'")
    second.wait_for_status(r"^Ended with exit code 7\.$")


def test_what_the_policy_allows_is_offered_and_the_rest_refused(open_tab, serve):
    server = serve(allow_command=[["echo", "one two"], ["echo", "three"]], allow_tty=False)
    tab = open_tab(page_of(server, "?command=rm&command=-rf&command=/"))
    tab("wait_for_selector", "select[name=command]:enabled")
    assert tab("is_disabled", "[name=tty]")
    options = "[...document.querySelectorAll('select[name=command] option')].map((option) => option.value)"
    assert tab("evaluate", options) == ["rm -rf /", "echo 'one two'", "echo three"]
    tab("click", "#connect")
    tab.wait_for_status(r"^Refused: command: not allowed$")
    tab("select_option", "select[name=command]", "echo 'one two'")
    tab("click", "#connect")
    tab.wait_for("one two")
    tab.wait_for_status(r"^Ended with exit code 0\.$")


def test_an_exact_command_is_sent_as_it_is(open_tab, serve):
    tab = open_tab(page_of(serve(allow_command=[["printf", "<%s>", "two  spaces\nand a line"]])))
    tab("click", "#connect")
    tab.wait_for_status("^(Ended with exit code 0|Refused)")
    tab.wait_for(r"<two  spaces\s*\n *and a line>")


def test_a_user_that_is_not_allowed(open_tab, server):
    tab = open_tab(page_of(server, "?user=root"))
    tab.connect("id")
    tab.wait_for_status(r"^Refused: user: not allowed\. The server's option --allow-user can allow it\.$")


def test_where_clients_choose_the_container_it_is_asked_for(open_tab, serve, container):
    server = serve(None, allow_container=[container, "other-*"])
    tab = open_tab(page_of(server))
    tab("wait_for_selector", "#container-field input:enabled")
    assert tab("input_value", "[name=container]") == container
    tab("fill", "[name=container]", "other-one")
    tab.connect("echo hi")
    tab.wait_for_status("^Refused: No container named 'other-one' is available.$")
    tab("fill", "[name=container]", container)
    tab.connect("echo hi")
    tab.wait_for("hi")
    linked = open_tab(page_of(server, "/other-one?command=ls"))
    linked("wait_for_selector", "#container-field input:enabled")
    assert linked("input_value", "[name=container]") == "other-one"


def test_the_list_of_containers_stays_fresh(open_tab, serve, docker_api):
    label = f"shell={secrets.token_hex(8)}"  # no other test's
    options = "[...document.querySelectorAll('#containers option')].map(({value, text}) => [value, text])"
    labels = dict([label.split("=")]) | {"com.docker.compose.service": "web"}
    with running_container(docker_api, labels=labels) as first:
        tab = open_tab(page_of(serve(None, allow_container_label=[label])))
        wait_until(lambda: tab("input_value", "[name=container]") == first)
        assert tab("evaluate", options) == [[first, "service web"]]
        with running_container(docker_api, labels=labels) as second:
            tab("focus", "[name=container]")
            wait_until(lambda: {name for name, _ in tab("evaluate", options)} == {first, second})
        wait_until(lambda: tab("evaluate", options) == [[first, "service web"]], timeout=20)  # in the focused field


def test_output_only(open_tab, serve):
    server = serve(read_only=True)
    tab = open_tab(page_of(server))
    tab.connect("bash -c 'echo ready; read -t 2; echo got $?'")
    tab.wait_for_status(r"^Running, output only: ")
    tab.wait_for("ready")
    tab.press("Enter")
    tab.wait_for("got 1")  # the Enter did not reach the program


def test_a_command_that_cannot_be_run(open_tab, server):
    tab = open_tab(page_of(server))
    tab.connect("nosuchcommand")
    tab.wait_for("nosuchcommand")
    tab.wait_for_status(r"^Ended with exit code 126\.$")


def test_a_command_line_that_makes_no_words(open_tab, server):
    tab = open_tab(page_of(server))
    tab.wait_for_status("^Not connected")
    tab("fill", "input[name=command]", "echo 'a")
    tab("click", "#connect")
    assert "quotes" in tab("evaluate", "document.querySelector('input[name=command]').validationMessage")
    assert tab.status() == "Not connected."
    tab.connect("echo 'a b'")
    tab.wait_for("a b")


def test_the_server_shuts_down(open_tab, serve):
    server = serve()
    tab = open_tab(page_of(server))
    tab.connect("sleep 1000")
    wait_until(lambda: server.sessions)
    server.close()
    tab.wait_for_status(r"^Shut down: the server is going away\.$")
    tab("click", "#connect")
    tab.wait_for_status(r"^Could not connect: The server (cannot be reached|is going away)\.$")


def test_the_connection_is_lost(open_tab, serve):
    server = serve()
    tab = open_tab(page_of(server))
    tab.connect("sleep 1000")
    (session,) = wait_until(lambda: server.sessions)
    session._channel.abort()  # like a pulled cable, but noticed at once
    tab.wait_for_status(r"^Connection lost\. The exit code is unknown\.$")


def test_the_container_is_gone(open_tab, serve, own_container, docker_api):
    server = serve(own_container)
    tab = open_tab(page_of(server))
    docker_api.stop(own_container, timeout=0)
    tab.connect("bash")
    tab.wait_for_status("^Refused: .*not running")


def test_a_session_limit(open_tab, serve):
    server = serve(max_duration=1)
    tab = open_tab(page_of(server))
    tab.connect("sleep 1000")
    tab.wait_for_status(r"^Ended by the server: session limit: ")


def test_a_token_is_asked_for_and_kept_in_memory_only(open_tab, serve_with_token, tmp_path):
    server, token = serve_with_token(audit_log=tmp_path / "audit")
    started = []
    server.subscribe("session", started.append)
    tab = open_tab(page_of(server))
    tab.wait_for_status("This server asks for a token")
    # This has used up none of the failures that an address may have in a minute.
    assert not any("policy.json" in request for request in tab("seen")["requests"])
    assert tab("get_attribute", "#token", "type") == "password"
    enter_token(tab, f"{token}\u200b")  # no header can have that character
    tab.wait_for_status("^This is not a token")
    enter_token(tab, "wrong")
    tab.wait_for_status(r"^The token was not accepted: Authentication is needed\.$")
    enter_token(tab, token)
    tab.wait_for_status(r"^Not connected\. You are somebody\.$")
    assert not tab("is_visible", "#token-form")
    tab.connect("echo hi")
    tab.wait_for_status("^Ended with exit code 0")
    assert [session.client.name for session in started] == ["somebody"]
    refusals = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert sum(record["event"] == "refusal" for record in refusals) == 1
    state = tab(
        "evaluate",
        "document.documentElement.outerHTML + location.href + JSON.stringify(history.state) + document.cookie",
    )
    assert token not in state
    assert tab("input_value", "#token") == ""
    assert not any(token in request for request in tab("seen")["requests"])


def test_a_token_that_is_no_longer_valid_is_asked_for_anew(open_tab, serve_with_token, tmp_path):
    server, token = serve_with_token()
    tab = open_tab(page_of(server))
    enter_token(tab, token)
    tab.wait_for_status("You are somebody")
    (tmp_path / "tokens").write_text("# nobody any more\n")
    tab.connect("echo hi")
    tab.wait_for_status(r"^Could not connect: Authentication is needed\.$")
    assert tab("is_visible", "#token-form")


def test_another_token_brings_what_it_may_run(open_tab, serve_with_token, tmp_path):
    (tmp_path / "key").write_text(SECRET)
    options = {"jwt_key_file": tmp_path / "key", "jwt_issuer": "ci", "jwt_audience": "shell"}
    server, token = serve_with_token(allow_command=[["echo", "first"], ["echo", "second"]], **options)
    tab = open_tab(page_of(server))
    enter_token(tab, token)
    tab.wait_for_status("You are somebody")
    (tmp_path / "tokens").write_text("# nobody any more\n")
    tab("click", "#connect")
    tab.wait_for_status("^Could not connect")
    claims = {"iss": "ci", "aud": "shell", "sub": "bob", "exp": 4_000_000_000}
    claims["dockerexec_ws"] = {"command": ["echo", "second"]}
    enter_token(tab, jwt.encode(claims, SECRET, algorithm="HS256"))
    tab.wait_for_status("You are bob")
    tab("click", "#connect")
    tab.wait_for("second")
    tab.wait_for_status(r"^Ended with exit code 0\.$")


def test_too_many_wrong_tokens(open_tab, serve_with_token):
    server, _ = serve_with_token()
    tab = open_tab(page_of(server))
    for _ in range(11):
        enter_token(tab, "wrong")
        wait_until(lambda: tab.status() != "" and tab("input_value", "#token") == "")
    tab.wait_for_status(r"^Not connected: .*(later|minute|many)")


def test_a_token_is_optional_where_there_are_other_ways(open_tab, serve_with_token):
    server, token = serve_with_token(identity_header="X-User", trusted_proxy=["127.0.0.0/8"])
    let_in = open_tab(page_of(server), extra_http_headers={"X-User": "proxied"})
    let_in.wait_for_status("You are proxied")
    stranger = open_tab(page_of(server))
    stranger.wait_for_status("This server asks for a token")
    enter_token(stranger, token)
    stranger.wait_for_status("You are somebody")


def test_a_websocket_that_does_not_get_through(open_tab, serve):
    server = serve()
    tab = open_tab(page_of(server))
    tab.wait_for_status("^Not connected")
    proxy = "(kind, [url, protocols]) => new kind(url.replace('/x/?', '/y/?'), protocols)"
    tab("evaluate", f"() => {{ WebSocket = new Proxy(WebSocket, {{construct: {proxy}}}); }}")
    tab.connect("echo hi")
    tab.wait_for_status("^Could not connect, although the server answers. A proxy")


CARD = """
WebGL2RenderingContext.prototype.getParameter = new Proxy(WebGL2RenderingContext.prototype.getParameter, {
  apply: (get, self, [name]) => name === 0x9246 ? 'A Card' : get.call(self, name),  // UNMASKED_RENDERER_WEBGL
});
"""
LOSE = """
() => document.querySelectorAll('canvas').forEach(
  (canvas) => canvas.getContext('webgl2')?.getExtension('WEBGL_lose_context').loseContext())
"""


def test_webgl_is_used_where_there_is_a_graphics_card_and_can_be_lost(chromium, server):
    browser = Browser("--enable-unsafe-swiftshader")
    try:
        tab = Tab(browser, "one")
        tab("open", page_of(server))
        assert tab("get_attribute", "#terminal", "data-renderer") == "dom"  # WebGL on the CPU is slower
        tab("add_init_script", CARD)
        tab("reload")
        tab.wait_for_status("^Not connected")
        assert tab("get_attribute", "#terminal", "data-renderer") == "webgl"
        tab.connect("bash -c 'read; echo still here; read'")
        tab("evaluate", LOSE)
        tab("wait_for_selector", "#terminal[data-renderer=dom]")
        tab.press("Enter")
        tab.wait_for("still here")
        assert tab("seen")["violations"] == []
    finally:
        browser.close()
    wait_until(lambda: not server.sessions)
