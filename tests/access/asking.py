"""Requests over the wire, and checks of what comes of them."""

from urllib.parse import unquote, urlencode

from tests.peer import Peer


def ask(url, *argv, **fields):
    """Return the Transcript of a session that asks for more than a command; a list becomes repeated fields."""
    query = urlencode([("command", word) for word in argv] + list(fields.items()), doseq=True)
    return Peer(url, query=query).transcript()


def assert_refused(transcript, text, docker_api, container):
    assert transcript.errors == [text]
    assert transcript.messages == [b"\xca" + text.encode()]
    assert transcript.close_code == 1008
    assert not docker_api.inspect_container(container)["ExecIDs"]


def assert_runs_in(url, docker_api, container):
    hostname = docker_api.inspect_container(container)["Config"]["Hostname"]
    assert ask(url, "uname", "-n").stdout.decode() == f"{hostname}\n"


def assert_there_is_none(url):
    transcript = ask(url, "true")
    name = unquote(url.partition("/x/")[2], errors="replace")
    assert transcript.errors == [f"No container named {name[:64]!r} is available."]
    assert transcript.close_code == 1008
