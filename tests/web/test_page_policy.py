"""What the server tells a client that it may ask for."""

import json
import secrets
from operator import itemgetter

import gevent
import pytest

from dockerexec_ws.access.admission import MOST_FAILURES
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.policy import Narrowing, Policy, allows_shell, offered_commands
from dockerexec_ws.protocol.terminal import SHELL
from tests.access.conftest import token_file  # noqa: F401  # a fixture
from tests.access.handshake import bearer
from tests.conftest import needs_page, running_container, wait_until
from tests.peer import HandshakeError, Peer, Transcript
from tests.web.browser_requests import get, policy, status_of

pytestmark = needs_page


def test_without_credentials_there_is_the_page_but_no_name_and_no_policy(serve, token_file, tmp_path):  # noqa: F811
    token, tokens = token_file
    options = {
        "token_file": tokens,
        "allow_container": ["planted-container"],
        "allow_command": ["planted-command", ["planted-word", "x"]],
        "audit_log": tmp_path / "audit",
    }
    server = serve(None, **options)
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        for below in ("", "/", "/planted-container", "/-/page.js"):
            response, body = get(server.url, below, **headers)
            assert response.status == 200
            assert b"planted" not in body
        response, body = get(server.url, "/-/policy.json", **headers)
        assert (response.status, body) == (401, b"Authentication is needed.\n")
        assert response.getheader("WWW-Authenticate") == "Bearer"
    # Refusals are recorded like those of sessions. A visitor of the page was refused nothing.
    refusals = [json.loads(line) for line in (tmp_path / "audit").read_text().splitlines()]
    assert [record["reason"] for record in refusals] == ["Authentication is needed."] * 2
    assert policy(server.url, **dict(bearer(token)))["commands"][0] == ["planted-command"]


def test_guesses_of_a_token_are_counted_with_those_of_sessions(serve, token_file):  # noqa: F811
    server = serve(token_file=token_file[1])
    for _ in range(MOST_FAILURES):
        assert status_of(server.url, "/-/policy.json", Authorization="Bearer wrong") == 401
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url, "true", headers=bearer("wrong"))
    assert refused.value.response.status_code == 429
    # This affects neither a client with the token nor the page's files.
    for below in ("/-/policy.json", "", "/-/page.js"):
        assert status_of(server.url, below, **dict(bearer(token_file[0]))) == 200
    assert Peer(server.url, "true", headers=bearer(token_file[0])).transcript().exit_code == 0


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_makes_no_failures_for_its_visitors(serve, token_file, site):  # noqa: F811
    server = serve(token_file=token_file[1])
    for _ in range(MOST_FAILURES):
        assert status_of(server.url, "/-/policy.json", **{"Sec-Fetch-Site": site}) == 403
    same = {"Sec-Fetch-Site": "same-origin"} | dict(bearer(token_file[0]))
    assert status_of(server.url, "/-/policy.json", **same) == 200


def test_the_policy_where_nothing_is_restricted(server):
    response, body = get(server.url, "/-/policy.json")
    assert response.getheader("Content-Type") == "application/json"
    assert response.getheader("Cache-Control") == "no-store"
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert json.loads(body) == {
        "identity": None,
        "chooses_container": False,
        "containers": [],
        "any_command": True,
        "commands": [],
        "shell": list(SHELL),
        "tty": True,
        "read_only": False,
    }


def test_the_policy_that_is_restricted(serve):
    server = serve(
        None,
        allow_container=["nosuch-container"],
        allow_command=["bash", "ls*", ["tail", "-f", "/log"]],
        allow_tty=False,
        read_only=True,
        authenticators=[lambda environ: "carol"],
    )
    assert policy(server.url) == {
        "identity": "carol",
        "chooses_container": True,
        "containers": [],
        "any_command": True,
        "commands": [["bash"], ["tail", "-f", "/log"]],
        "shell": None,
        "tty": False,
        "read_only": True,
    }


@pytest.mark.parametrize(
    ("options", "claim", "expected"),
    [
        ({}, {}, {"tty": True}),
        ({}, {"command": ["ls", "-l"]}, {"commands": [["ls", "-l"]], "any_command": False}),
        ({"allow_command": ["bash"]}, {"command": ["ls"]}, {"commands": [], "any_command": False}),
        ({}, {"tty": False}, {"tty": False}),
        ({"allow_tty": False}, {"tty": True}, {"tty": False}),
    ],
)
def test_a_token_narrows_what_the_page_is_told(serve, signed, options, claim, expected):
    server = serve(**options | signed[0])
    told = policy(server.url, Authorization=signed[1](**claim))
    assert told["identity"] == "bob"
    assert {key: told[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("commands", "narrowed", "listed", "others"),
    [
        (["*"], None, [], True),
        ([], None, [], False),
        (["bash"], None, [["bash"]], True),  # further words are allowed
        ([["ls", "-l"], ["id"]], None, [["ls", "-l"], ["id"]], False),
        ([["ls", "*"]], None, [["ls", "*"]], False),  # exactly these words
        (["b?sh", "[ab]"], None, [], True),
        (["*"], ("ls",), [["ls"]], False),
        ([["ls", "-l"]], ("ls",), [], False),
    ],
)
def test_which_commands_can_be_listed(commands, narrowed, listed, others):
    assert offered_commands(Policy(commands=commands), Narrowing(command=narrowed)) == (listed, others)


@pytest.mark.parametrize(
    ("commands", "narrowed", "allowed"),
    [
        (["*"], None, True),
        (["ls", "s?"], None, True),
        (["bash", "/bin/sh"], None, False),
        ([SHELL], None, False),  # exactly this line and no other
        (["*"], SHELL, False),
    ],
)
def test_who_is_offered_a_shell(commands, narrowed, allowed):
    assert allows_shell(Policy(commands=commands), Narrowing(command=narrowed)) == allowed


def test_what_is_listed_can_be_run(serve, signed):
    """A command that is not listed cannot be run if the policy says that there are no others."""
    server = serve(allow_command=[["echo", "a b"], ["id"]])
    told = policy(server.url)
    assert told["any_command"] is False
    for command in told["commands"]:
        assert Transcript(Peer(server.url, *command)).exit_code == 0
    assert Transcript(Peer(server.url, "echo")).errors == ["command: not allowed"]


def test_the_containers_that_run_and_are_allowed_are_offered(serve, signed, docker_api):
    label = f"shell={secrets.token_hex(8)}"  # no other test's
    labels = dict([label.split("=")])
    service = {"com.docker.compose.service": "database"}
    with running_container(docker_api, labels=labels | service) as first:
        server = serve(None, allow_container_label=[label])
        offered = [{"name": first, "service": "database"}]
        assert policy(server.url)["containers"] == offered
        with running_container(docker_api, labels=labels) as second:
            both = [{"name": second, "service": ""}, *offered]
            assert policy(server.url)["containers"] == sorted(both, key=itemgetter("name"))
            docker_api.pause(second)
            assert policy(server.url)["containers"] == offered
            narrowed = serve(None, allow_container_label=[label], **signed[0])
            docker_api.unpause(second)
            told = policy(narrowed.url, Authorization=signed[1](container=second))
            assert told["containers"] == [{"name": second, "service": ""}]
        assert policy(server.url)["containers"] == offered


def test_an_identity_of_an_authenticator_of_the_callers(serve):
    narrowing = Narrowing(command=("id",))
    server = serve(authenticators=[lambda environ: Identity("dora", narrowing)])
    told = policy(server.url)
    assert (told["identity"], told["commands"]) == ("dora", [["id"]])


def test_while_the_server_goes_away(serve):
    server = serve()
    with Peer(server.url, "cat").ready() as peer:
        closing = gevent.spawn(server.close, 5)
        wait_until(lambda: status_of(server.url, "/-/policy.json") == 503)
        response, body = get(server.url, "/-/policy.json")
        assert (response.getheader("Retry-After"), body) == ("5", b"The server is going away.\n")
        assert status_of(server.url) == 200
        peer.end()
        assert Transcript(peer).exit_code == 0
    closing.get()
