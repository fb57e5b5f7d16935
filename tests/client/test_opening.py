"""The URL that runs a command, as the server reads it."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockerexec_ws.access.request import ExecRequest, parse_request
from dockerexec_ws.client.opening import open_websocket, session_url
from dockerexec_ws.errors import SettingsError

URL = "ws://127.0.0.1:8080/x"


def read(url):
    return parse_request(urlsplit(url).query)


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@settings(deadline=None)
@given(argv=st.lists(words), user=words, workdir=words, value=words)
def test_the_server_reads_what_was_asked_for(argv, user, workdir, value):
    url = session_url(URL, argv, user=user, workdir=workdir, env={"A": value, "B": ""})
    assert read(url) == ExecRequest(argv=tuple(argv), user=user, workdir=workdir, environment=(f"A={value}", "B="))


def test_everything_else():
    url = session_url(URL, ["sh"], tty=True, size=(24, 80), privileged=True)
    assert read(url) == ExecRequest(argv=("sh",), tty=True, size=(24, 80), privileged=True)
    assert read(session_url(URL, ["sh"])) == ExecRequest(argv=("sh",))


@pytest.mark.parametrize(
    ("url", "begin"),
    [
        ("ws://h/x", "ws://h/x?tty=false&command=a"),
        ("wss://h:1/x/y", "wss://h:1/x/y?tty=false&command=a"),
        ("http://h:8080/x", "ws://h:8080/x?tty=false&command=a"),
        ("https://h/x?a=b#c", "wss://h/x?a=b&tty=false&command=a"),
        ("WS://[::1]:80/", "ws://[::1]:80/?tty=false&command=a"),
    ],
)
def test_urls(url, begin):
    assert session_url(url, ["a"]) == begin


def test_a_user_without_a_password():
    with pytest.raises(SettingsError, match="username provided without password"):
        open_websocket("ws://user@127.0.0.1:1/x")


@pytest.mark.parametrize(
    "url", ["", "x", "//h/x", "ftp://h/x", "ws:///x", "ws://h:p/x", "ws://[/x", "ws://h:99999/", "ws://h/\udcff"]
)
def test_what_is_no_url(url):
    with pytest.raises(SettingsError, match="not the URL of a server"):
        session_url(url, ["a"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("command", {"argv": ["true", "\udcff"]}),
        ("user", {"user": "\udcff"}),
        ("workdir", {"workdir": "\ud800"}),
        ("env", {"env": {"A": "\udcff"}}),
        ("env", {"env": {"\udcff": "A"}}),
    ],
)
def test_what_is_not_utf_8_is_named(name, options):
    with pytest.raises(SettingsError, match=f"^{name}: this is not UTF-8 text"):
        session_url(URL, **{"argv": ["true"], **options})
