"""How an identity narrows its sessions, over the wire."""

import time

from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.policy import Narrowing
from tests.access.asking import ask, assert_refused, assert_runs_in, assert_there_is_none
from tests.conftest import processes, wait_until


def as_identity(**narrowing):
    return {"authenticators": [lambda _: Identity("alice", Narrowing(**narrowing))]}


def test_what_a_token_narrows(serve, container, docker_api):
    server = serve(**as_identity(command=("echo", "hi"), tty=False))
    assert ask(server.url).stdout == b"hi\n"
    assert ask(server.url, "echo", "hi").stdout == b"hi\n"
    assert_refused(ask(server.url, "echo", "ho"), "command: not allowed", docker_api, container)
    assert_refused(ask(server.url, tty="true"), "tty: not allowed", docker_api, container)


def test_a_token_does_not_widen(serve, container, docker_api):
    server = serve(allow_command=["ls"], **as_identity(command=("echo", "hi")))
    assert_refused(ask(server.url), "command: not allowed", docker_api, container)
    server = serve(**as_identity(user="1000"))
    assert_refused(ask(server.url, "id"), "user: not allowed", docker_api, container)
    server = serve(allow_user=["1000"], **as_identity(user="1000"))
    assert ask(server.url, "id", "-u").stdout == b"1000\n"


def test_a_tokens_containers(serve, serve_several, container, second_container, docker_api):
    assert ask(serve(**as_identity(containers=("dockerexec-ws-test-*",))).url, "true").exit_code == 0
    assert ask(serve(**as_identity(containers=("other",))).url, "true").close_code == 1008
    server = serve_several(allow_container=["*"], **as_identity(containers=(container,)))
    assert_runs_in(server.url, docker_api, container)
    assert_runs_in(f"{server.url}/{container}", docker_api, container)
    assert_there_is_none(f"{server.url}/{second_container}")


def test_a_tokens_deadline(serve, container, docker_api):
    server = serve(**as_identity(deadline=time.time() + 1))
    transcript = ask(server.url, "sleep", "1000")
    assert transcript.errors == ["session limit: its deadline has passed"]
    assert transcript.close_code == 1008
    wait_until(lambda: processes(docker_api, container) == [])
    assert_refused(ask(server.url, "true"), "deadline: it has passed", docker_api, container)
