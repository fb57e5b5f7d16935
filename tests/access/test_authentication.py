"""Who a client is, over the wire: tokens, the caller's own functions, a trusted proxy's header."""

import json
import logging
import time

import pytest

from dockerexec_ws.access.admission import MOST_FAILURES, SLOW
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.policy import Narrowing
from tests.access.handshake import answer_to, bearer, encoded, status_of
from tests.conftest import wait_until
from tests.peer import HandshakeError, Peer, Transcript
from tests.settings.command import run, running

# Tokens


def test_no_token_and_a_wrong_one_get_the_same_answer(serve, token_file):
    """The answer must not reveal whether a token was nearly right."""
    url = serve(token_file=token_file[1]).url
    status, headers, body = answer_to(url)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    for wrong in (
        bearer("wrong"),
        bearer(token_file[0] + "x"),
        bearer(token_file[0].swapcase()),
        [("Authorization", f"Basic {token_file[0]}")],
        [("Sec-WebSocket-Protocol", f"dockerexec-ws, {encoded('wrong')}")],
        [*bearer(token_file[0]), ("Sec-WebSocket-Protocol", f"dockerexec-ws, {encoded('wrong')}")],
    ):
        answer = answer_to(url, wrong)
        assert answer[0] == status
        assert answer[2] == body
        assert {**answer[1], "date": ""} == {**headers, "date": ""}


def test_a_token_in_the_url_does_not_count(serve, token_file):
    """Logs contain URLs."""
    url = serve(token_file=token_file[1]).url
    with pytest.raises(HandshakeError) as refused:
        Peer(url, query=f"command=true&token={token_file[0]}&access_token={token_file[0]}")
    assert refused.value.response.status_code == 401


def test_a_token_in_the_header(names, token_file):
    url, found = names(token_file=token_file[1])
    with Peer(url, "true", headers=bearer(token_file[0])) as peer:
        assert Transcript(peer).exit_code == 0
    assert found == ["alice"]


def test_a_token_as_a_subprotocol(names, token_file):
    """A browser's WebSocket cannot set headers, and closes unless the server selects one of its subprotocols."""
    url, found = names(token_file=token_file[1])
    with Peer(url, "true", subprotocols=["dockerexec-ws", encoded(token_file[0])]) as peer:
        assert peer.protocol.subprotocol == "dockerexec-ws"
        assert Transcript(peer).exit_code == 0
    assert found == ["alice"]
    both = [("Sec-WebSocket-Protocol", f"{encoded(token_file[0])},dockerexec-ws")]
    status, headers, _ = answer_to(url, both)
    assert (status, headers["sec-websocket-protocol"]) == (101, "dockerexec-ws")
    status, headers, _ = answer_to(url, [("Sec-WebSocket-Protocol", encoded(token_file[0]))])
    assert status == 101
    assert "sec-websocket-protocol" not in headers


def test_tokens_are_in_no_log(serve, token_file, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    url = serve(token_file=token_file[1], audit_log=tmp_path / "audit").url
    protocol = encoded(token_file[0])
    for headers in (bearer(token_file[0]), [("Sec-WebSocket-Protocol", f"dockerexec-ws, {protocol}")]):
        assert status_of(url, headers) == 101
    assert status_of(url, bearer("wrong-token")) == 401
    wait_until(lambda: len((tmp_path / "audit").read_text().splitlines()) == 5)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("dockerexec_ws")]
    logged = "\n".join([*ours, (tmp_path / "audit").read_text()])
    assert "alice" in logged
    for secret in (token_file[0], protocol, "wrong-token"):
        assert secret not in logged


def test_a_refusal_is_in_the_audit_log(serve, token_file, tmp_path):
    url = serve(token_file=token_file[1], audit_log=tmp_path / "audit").url
    assert status_of(url, [("Origin", url.replace("ws:", "http:"))]) == 401
    assert status_of(url, [("Origin", "http://evil.example")]) == 403
    assert status_of(url + "y") == 404
    first, second = map(json.loads, (tmp_path / "audit").read_text().splitlines())
    assert (first["event"], first["address"], first["identity"]) == ("refusal", "127.0.0.1", None)
    assert second["origin"] == "http://evil.example"


def test_too_many_failures_of_an_address(serve, token_file):
    """The failures are slowed down. The right token still passes: a client must not lock out others at its address."""
    url = serve(token_file=token_file[1]).url
    for _ in range(MOST_FAILURES):
        assert status_of(url, bearer("wrong")) == 401
    for headers in ([], bearer("wrong")):
        begin = time.monotonic()
        status, answer, _ = answer_to(url, headers)
        assert status == 429
        assert time.monotonic() - begin >= SLOW
        assert 0 < int(answer["retry-after"]) <= 60
        assert "www-authenticate" not in answer
    assert status_of(url, bearer(token_file[0])) == 101
    assert status_of(url, bearer("wrong"), source="127.0.0.2") == 401


def test_those_who_get_in_are_not_counted_as_failures(serve, token_file):
    url = serve(token_file=token_file[1]).url
    for _ in range(MOST_FAILURES + 1):
        assert status_of(url, bearer(token_file[0])) == 101


def test_failures_behind_a_proxy_are_counted_by_the_clients_address(serve, token_file):
    url = serve(token_file=token_file[1], trusted_proxy=["127.0.0.1/32"]).url
    for _ in range(MOST_FAILURES):
        assert status_of(url, [("X-Forwarded-For", "192.0.2.1")]) == 401
    assert status_of(url, [("X-Forwarded-For", "192.0.2.1")]) == 429
    assert status_of(url, [("X-Forwarded-For", "192.0.2.1, 192.0.2.2")]) == 401
    assert status_of(url, [("X-Forwarded-For", "192.0.2.1"), *bearer(token_file[0])]) == 101


def test_token_makes_a_token_and_its_line(docker_host, container, tmp_path):
    result = run("token", "alice")
    assert result.returncode == 0
    (token,) = result.stdout.splitlines()
    (tmp_path / "tokens").write_text(result.stderr)
    arguments = ("--container", container, "--port", "0", "--token-file", str(tmp_path / "tokens"))
    with running(*arguments, "--audit-log", str(tmp_path / "audit"), DOCKER_HOST=docker_host) as (_, url):
        with Peer(url, "true", headers=bearer(token)) as peer:
            assert Transcript(peer).exit_code == 0
        assert status_of(url) == 401
    assert json.loads((tmp_path / "audit").read_text().splitlines()[0])["identity"] == "alice"


@pytest.mark.parametrize("arguments", [[""], [" x"], ["a:b"], []])
def test_token_for_nobody(arguments):
    result = run("token", *arguments)
    assert result.returncode in (1, 2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


# Other ways to identify a client


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("bob", ["bob"]), (Identity("carol"), ["carol"]), (None, []), ("", []), (Identity(""), [])],
)
def test_an_authenticator_of_the_callers_own(names, answer, expected):
    seen = []
    url, found = names(authenticators=[lambda environ: seen.append(environ["HTTP_COOKIE"]) or answer])
    assert status_of(url, [("Cookie", "a=b")]) == (101 if expected else 401)
    assert seen == ["a=b"]
    wait_until(lambda: found == expected)


def test_an_authenticator_that_fails_lets_nobody_in(names):
    url, found = names(authenticators=[lambda environ: 1 / 0])
    assert status_of(url) == 500
    assert found == []


def test_authenticators_are_asked_in_turn(names, token_file):
    url, found = names(authenticators=[lambda environ: environ.get("HTTP_X_KEY")], token_file=token_file[1])
    assert status_of(url, [("X-Key", "bob")]) == 101
    assert status_of(url, bearer(token_file[0])) == 101
    assert status_of(url) == 401
    wait_until(lambda: found == ["bob", "alice"])


def test_what_an_identity_leaves_of_the_policy(serve):
    only_echo = Identity("bob", Narrowing(command=("echo", "hi")))
    url = serve(authenticators=[lambda environ: only_echo]).url
    assert Transcript(Peer(url, "sh")).errors == ["command: not allowed"]
    assert Transcript(Peer(url)).stdout == b"hi\n"


def test_the_header_of_a_trusted_proxy(names):
    url, found = names(identity_header="X-Forwarded-User", trusted_proxy=["127.0.0.1/32"])
    assert status_of(url, [("X-Forwarded-User", "alice")]) == 101
    wait_until(lambda: found == ["alice"])
    for headers in (
        [],
        [("X-Forwarded-User", "")],
        [("X-Forwarded-User", "alice"), ("X-Forwarded-User", "root")],  # the client may have sent one of them
        [("X-Forwarded-User", "alice"), ("x-forwarded-user", "alice")],
        [("X_Forwarded_User", "root")],  # becomes the same CGI variable, but proxies do not remove it
    ):
        assert status_of(url, headers) == 401
    assert status_of(url, [("X-Forwarded-User", "alice")], source="127.0.0.2") == 401
    assert found == ["alice"]
