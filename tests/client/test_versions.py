"""Client and server with a second version of the wire protocol, added as one entry in the table of versions."""

import pytest

from dockerexec_ws.client import run
from dockerexec_ws.protocol import v1
from dockerexec_ws.protocol.versions import VERSIONS
from tests.peer import READY, Peer


class MarkedCodec:
    """Version 1 with a mark before each message."""

    MARK = b"2"
    STDIN_PREFIX = b""

    def encode(self, event):
        return self.MARK + v1.encode(event)

    def encode_output(self, stream, parts):
        return [self.MARK, *v1.encode_output(stream, parts)]

    def parse_client_message(self, message):
        assert message[:1] == self.MARK
        return v1.parse_client_message(message[1:])

    def parse_server_message(self, message):
        assert message[:1] == self.MARK
        return v1.parse_server_message(message[1:])


@pytest.fixture(autouse=True)
def _second_version(monkeypatch):
    monkeypatch.setitem(VERSIONS, "dockerexec.v2", MarkedCodec())


def test_both_sides_speak_the_newest_version_that_both_know(server):
    done = run(server.url, ["sh", "-c", "cat; cat >&2; exit 3"], input=b"input", capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == (b"input", b"", 3)


@pytest.mark.parametrize(
    ("offered", "first"),
    [
        (None, READY),
        (["dockerexec-ws"], READY),
        (["dockerexec-ws", "dockerexec.v2"], MarkedCodec.MARK + READY),
        (["dockerexec.v2"], MarkedCodec.MARK + READY),
    ],
)
def test_the_server_speaks_the_version_that_it_answered(server, offered, first):
    with Peer(server.url, "true", subprotocols=offered) as peer:
        assert peer.receive() == first


def test_a_refusal_is_told_in_the_version_that_was_answered(server):
    with Peer(server.url, subprotocols=["dockerexec.v2"]) as peer:
        assert peer.receive().startswith(b"2\xcano command")
