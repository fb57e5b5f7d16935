"""How a session starts: its command, its terminal, its place."""

import pytest

from tests.conftest import wait_until
from tests.peer import Peer, Transcript, masked
from tests.session.commands import run


@pytest.mark.parametrize(
    ("query", "argv"),
    [
        ("command=echo", [""]),
        ("command=echo&command=a+b&command=c%20d", ["a b c d"]),
        ("command=printf&command=%25s-&command=&command=b", ["-b-"]),
        ("command=echo&other=1&command=%C3%A9%F0%9F%98%80", ["é😀"]),
        ("tty=false&command=echo&command=x", ["x"]),
    ],
)
def test_argv_is_every_command_parameter_in_order(server, query, argv):
    with Peer(server.url, query=query) as peer:
        transcript = Transcript(peer)
    assert transcript.stdout.decode().rstrip("\n") == " ".join(argv)
    assert transcript.exit_code == 0
    assert transcript.close_code == 1000


@pytest.mark.parametrize(
    ("query", "tty"), [("tty=true", True), ("tty=TRUE", True), ("tty=1", False), ("tty=", False), ("", False)]
)
def test_tty_is_true_in_any_case(server, query, tty):
    with Peer(server.url, query=f"{query}&command=tty") as peer:
        transcript = Transcript(peer)
    assert transcript.stdout.startswith(b"/dev/pts/") is tty
    assert transcript.exit_code == (0 if tty else 1)


def test_wrapper_command_goes_before_the_clients(serve):
    server = serve(wrapper_command=["echo", "wrapped"])
    assert run(server.url, "a", "b c").stdout == b"wrapped a b c\n"


@pytest.mark.parametrize("query", ["", "tty=true", "command%20=echo", "command=%ff"])
def test_without_a_proper_command_nothing_runs(server, docker_api, container, query):
    before = docker_api.inspect_container(container)["ExecIDs"] or []
    with Peer(server.url, query=query) as peer:
        transcript = Transcript(peer)
    assert len(transcript.errors) == len(transcript.messages) == 1
    assert "command" in transcript.errors[0] or "UTF-8" in transcript.errors[0]
    assert transcript.close_code == 1008
    assert (docker_api.inspect_container(container)["ExecIDs"] or []) == before


def test_session_limit_frees_its_place_when_a_session_ends(serve):
    server = serve(max_sessions=2)
    counts = []
    server.subscribe("session added", counts.append)
    server.subscribe("session removed", counts.append)
    first = Peer(server.url, "cat").ready()
    second = Peer(server.url, "cat").ready()
    third = Transcript(Peer(server.url, "cat"))
    assert third.errors == ["Too many sessions active!"]
    assert third.close_code == 1013
    first.end()
    assert Transcript(first).exit_code == 0
    wait_until(lambda: len(server.sessions) == 1)
    assert run(server.url, "true").exit_code == 0
    second.end()
    assert Transcript(second).exit_code == 0
    wait_until(lambda: not server.sessions)
    assert counts == [1, 2, 1, 2, 1, 0]


def test_input_sent_before_ready_waits(server):
    with Peer(server.url, "cat", send_at_once=masked(2, b"\x00early") + masked(2, b"\x66")) as peer:
        transcript = Transcript(peer)
    assert transcript.stdout == b"early"
    assert transcript.exit_code == 0


def test_a_container_that_does_not_run_is_an_error(serve, own_container, docker_api):
    server = serve(own_container)
    docker_api.pause(own_container)
    transcript = run(server.url, "true")
    assert "paused" in transcript.errors[0]
    assert transcript.close_code == 1011
    docker_api.unpause(own_container)
    assert run(server.url, "true").exit_code == 0
    docker_api.stop(own_container, timeout=0)
    transcript = run(server.url, "true")
    assert "not running" in transcript.errors[0]
    assert transcript.close_code == 1011
    docker_api.remove_container(own_container)
    transcript = run(server.url, "true")
    assert "container" in transcript.errors[0]
    assert transcript.close_code == 1011
