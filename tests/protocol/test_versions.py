import pytest

from dockerexec_ws.protocol import v1, versions
from dockerexec_ws.protocol.versions import VERSIONS, choose, codec_of, offers

V2 = "dockerexec.v2"


@pytest.fixture
def codec(monkeypatch):
    """A second version, added as one entry in the table."""
    codec = object()
    monkeypatch.setitem(versions.VERSIONS, V2, codec)
    return codec


def test_a_connection_without_a_subprotocol_speaks_version_1():
    assert codec_of(None) is v1


def test_the_subprotocol_of_version_1_is_the_pages():
    assert codec_of("dockerexec-ws") is v1


def test_version_1_is_all_there_is():
    assert {"dockerexec-ws": v1} == VERSIONS
    assert offers() == []


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["chat"], None),
        (["base64url.bearer.authorization.dockerexec-ws.eA", "dockerexec-ws"], "dockerexec-ws"),
        ([V2], None),
    ],
)
def test_the_server_answers_only_with_a_version_that_it_speaks(offered, chosen):
    assert choose(offered) == chosen


@pytest.mark.parametrize("offered", [["dockerexec-ws", V2], [V2, "dockerexec-ws"], [V2]])
def test_the_newest_version_wins_whatever_the_clients_order(offered, codec):
    assert choose(offered) == V2
    assert codec_of(V2) is codec


def test_a_client_offers_the_oldest_version_first(codec):
    assert offers() == ["dockerexec-ws", V2]
