"""The original's client, unchanged, against a server with authentication: its options can carry a token."""

import pytest

from dockerexec_ws.access.token_file import new_token


@pytest.fixture
def connect(serve, run_node, tmp_path):
    """A function that starts the client with additional headers, and the token that the server accepts."""
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    server = serve(token_file=tmp_path / "tokens")

    def start(headers):
        return run_node("client.js", url=server.url, command=["cat"], tty=False, wsopts={"headers": headers})

    return start, token, server


def test_with_the_token(connect):
    start, token, server = connect
    names = []
    server.subscribe("session", lambda session: names.append(session.client.name))
    client = start({"Authorization": f"Bearer {token}"})
    client.tell(write="hello\n")
    client.tell(end=True)
    events = client.events()
    assert [event["text"] for event in events if event["event"] == "stdout"] == ["hello\n"]
    assert [event for event in events if event["event"] in ("exit", "error")] == [{"event": "exit", "code": 0}]
    assert names == ["somebody"]


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "Basic {token}", "Bearer {token}x", "{token}"])
def test_without_the_token(connect, header):
    start, token, server = connect
    sessions = []
    server.subscribe("session", sessions.append)
    client = start({} if header is None else {"Authorization": header.format(token=token)})
    events = client.events()
    assert not [event for event in events if event["event"] in ("stdout", "exit")]
    assert client.process.wait() != 0  # the refusal is an error that its execute() does not catch
    assert sessions == []
