"""The audit log's entries for real sessions and refusals."""

import json

import pytest

from dockerexec_ws.observe.audit import STRANGERS
from tests.access.asking import ask
from tests.conftest import wait_until
from tests.peer import HandshakeError, Peer


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_audit_log(serve, container, docker_api, tmp_path):
    server = serve(audit_log=tmp_path / "audit", authenticators=[lambda _: "alice"], allow_user=["1000"])
    assert ask(server.url, "bash", "-c", "cat; exit 3", user="root").close_code == 1008
    with Peer(server.url, query="command=bash&command=-c&command=cat%3Bexit+3&user=1000") as peer:
        peer.stdin(b"hello")
        peer.end()
        assert peer.transcript().exit_code == 3
    gone = Peer(server.url, "sleep", "1000").ready()
    gone.vanish()
    wait_until(lambda: server.sessions == [])
    with pytest.raises(HandshakeError):
        Peer(server.url, "true", headers=[("Origin", "http://evil.example")])
    wait_until(lambda: len(lines(tmp_path / "audit")) == 6)
    who = {"identity": "alice", "address": "127.0.0.1", "origin": None}
    where = {"container": docker_api.inspect_container(container)["Id"], "container_name": container}
    refused, start, end, second, vanished, refusal = lines(tmp_path / "audit")
    assert refused.items() >= ({"event": "refusal", "reason": "user: not allowed"} | who).items()
    what = {"argv": ["bash", "-c", "cat;exit 3"], "user": "1000", "tty": False}
    assert start.items() >= ({"event": "start"} | who | where | what).items()
    assert end.items() >= ({"event": "end", "session": start["session"]} | who | where | what).items()
    assert (end["exit_code"], end["bytes_in"], end["bytes_out"]) == (3, 5, 5)
    assert (end["ending"], end["processes_left"]) == ("the process exited", None)
    assert 0 < end["duration"] < 10
    assert (vanished["session"], vanished["exit_code"]) == (second["session"], None)
    assert (vanished["ending"], vanished["processes_left"]) == ("the client is gone", False)
    assert refusal["event"] == "refusal"
    assert (refusal["identity"], refusal["origin"]) == (None, "http://evil.example")


def test_a_stranger_cannot_fill_the_audit_log(serve, tmp_path):
    server = serve(audit_log=tmp_path / "audit")
    for _ in range(STRANGERS + 2):
        with pytest.raises(HandshakeError):
            Peer(server.url, "true", headers=[("Origin", "null")])
    assert len(lines(tmp_path / "audit")) == STRANGERS


def test_without_its_audit_log_no_session_starts(serve, container, docker_api):
    server = serve(audit_log="/dev/full")
    transcript = ask(server.url, "true")
    assert transcript.errors == ["the server cannot keep its audit log"]
    assert transcript.close_code == 1013
    assert not docker_api.inspect_container(container)["ExecIDs"]
    assert server.sessions == []
    assert ask(serve(audit_log="/dev/full", audit_optional=True).url, "true").exit_code == 0
