"""No log, audit log or refusal contains secrets, whatever the outcome of the requests that carry them."""

import base64
import contextlib
import json
import logging
from urllib.parse import quote, urlencode

import pytest

from dockerexec_ws.access.bearer import TOKEN_SUBPROTOCOL
from dockerexec_ws.access.token_file import new_token
from dockerexec_ws.client import run
from tests.conftest import wait_until
from tests.peer import Peer, Transcript
from tests.web.raw import ask, exchange

PATH = "planted-path"
VALUE = "planted-value"
STDIN = "planted-stdin"
WRONG = "planted-wrong-token"
METHOD = "planted-method"


def encoded(token):
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def header(token):
    return {"Authorization": f"Bearer {token}"}


def subprotocol(token):
    return {"Sec_WebSocket_Protocol": f"dockerexec-ws, {TOKEN_SUBPROTOCOL}{encoded(token)}"}


@pytest.fixture
def all_logs(caplog):
    """All records of all loggers, at all levels."""
    caplog.set_level(logging.DEBUG)
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    for each in loggers:
        if each.level:
            caplog.set_level(logging.DEBUG, each.name)
    return caplog


def test_the_python_client_logs_no_secrets(serve, tmp_path, all_logs):
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    server = serve(path=PATH, token_file=tmp_path / "tokens")
    assert run(server.url, ["cat"], token=token, input=STDIN.encode(), capture_output=True).stdout == STDIN.encode()
    logged = [f"{record.name}: {record.getMessage()} {record.args!r}" for record in all_logs.records]
    assert logged
    for secret in (PATH, STDIN, token):
        assert [text for text in logged if secret in text] == []


@pytest.mark.parametrize("carry", [header, subprotocol])
def test_secrets_are_nowhere(carry, serve, tmp_path, all_logs, capfd):
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    audit = tmp_path / "audit"
    server = serve(path=PATH, token_file=tmp_path / "tokens", allow_env=["SECRET"], audit_log=audit)
    given = carry(token)
    headers = [(name.replace("_", "-"), value) for name, value in given.items()]
    options = {"headers": headers} if carry is header else {"subprotocols": given["Sec_WebSocket_Protocol"].split(", ")}
    refusals = []

    def query(*argv, **fields):
        return urlencode([("command", word) for word in argv] + [("env", f"SECRET={VALUE}"), *fields.items()])

    # Accepted requests: one runs to the end, one client vanishes.
    with Peer(server.url, query=query("cat"), **options).ready() as peer:
        peer.stdin(STDIN.encode())
        peer.end()
        assert Transcript(peer).stdout == STDIN.encode()
    with Peer(server.url, query=query("cat"), **options).ready() as peer:
        peer.stdin(STDIN.encode())
        peer.send_text("\x07" + STDIN)  # a message without meaning
        peer.until(STDIN.encode())
        peer.vanish()
    wait_until(lambda: not server.sessions)
    # Refused after the handshake: by the policy, or as malformed.
    for refused in (
        query("true") + f"&env=OTHER={VALUE}",
        query("true", user=VALUE),
        query("true", workdir=VALUE),
        query("true") + f"&env={VALUE}",
        query("true") + f"&env=={VALUE}",
        query("true") + f"&env={VALUE}%00=1",
        query("true") + f"&rows={VALUE}&columns=1",
        query("true") + f"&x={VALUE}%ff",
        query(),
    ):
        transcript = Transcript(Peer(server.url, query=refused, **options))
        assert transcript.close_code == 1008
        refusals += [*transcript.errors, transcript.close_reason]
    # Refused before the handshake: no token, a wrong one, another path, or a malformed request.
    target = f"/{PATH}?{query('true')}"
    for wrong in (
        {},
        carry(WRONG),
        header(token) | subprotocol(WRONG),
        {"Authorization": f"Basic {token}"},
        {"Authorization": f"Bearer {token} {token}"},
        {"Authorization": token},
        {"Sec_WebSocket_Protocol": f"{TOKEN_SUBPROTOCOL}{encoded(token)}!"},
        given | {"Host": "evil.example"},
        given | {"Origin": "http://evil.example"},
        given | {"Sec_WebSocket_Key": "short"},
        given | {"Sec_WebSocket_Version": "8"},
        given | {"Upgrade": "no"},
        given | {"Content_Length": "1"},
    ):
        status, fields, body = ask(server.url, f"GET {target} HTTP/1.1", **{"Host": "127.0.0.1"} | wrong)
        assert status >= 400, wrong
        refusals += [str(fields), body.decode()]
    for line in (
        f"GET /{PATH}x?{query('true')} HTTP/1.1",
        f"GET {target} HTTP/9.9",
        f"GET {target} {VALUE} HTTP/1.1",
        f"POST {target} HTTP/1.1",
        f"GET /{PATH}/{quote(VALUE)} HTTP/1.1",
        f"{METHOD} {target} HTTP/1.1",
    ):
        status, fields, body = ask(server.url, line, Host="127.0.0.1", **given)
        assert status >= 400, line
        refusals += [str(fields), body.decode()]
    credentials = (
        b"\r\nHost: 127.0.0.1\r\nUpgrade: websocket"
        + "".join(f"\r\n{name}: {value}" for name, value in headers).encode()
    )
    for malformed in (
        f"GET {target} HTTP/1.1".encode() + credentials + b"\r\nno header\r\n\r\n",
        f"GET {target} HTTP/1.1".encode() + credentials + b"\r\n : \r\n\r\n",
        credentials + b"\r\n\r\n",
        f"GET {target}&x={'y' * 9000} HTTP/1.1".encode() + credentials + b"\r\n\r\n",
        f"GET {target} HTTP/1.1".encode() + credentials + b"\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ):
        with contextlib.suppress(OSError, IndexError):  # the server closed without an answer
            _, fields, body = exchange(server.url, malformed)
            refusals += [str(fields), body.decode()]
    server.close()

    secrets = [PATH, VALUE, STDIN, WRONG, encoded(WRONG), token, encoded(token)]
    output = capfd.readouterr()
    formatter = logging.Formatter()
    logged = [
        f"{record.name}: {formatter.format(record)} {record.args!r}"
        for record in all_logs.records
        if record.name != "websockets.client"  # the peer of this test logs here
    ]
    events = [json.loads(each)["event"] for each in audit.read_text().splitlines()]
    assert (events.count("start"), events.count("end")) == (2, 2)
    assert events.count("refusal") >= 15
    assert [text for text in logged if "dockerexec_ws.requests" in text]
    assert [text for text in logged if METHOD in text] == []  # an answer may tell the sender that this is no method
    for secret in secrets:
        assert [text for text in logged if secret in text] == []
        assert secret not in audit.read_text()
        assert [text for text in refusals if secret in text] == []
        assert secret not in output.out + output.err
