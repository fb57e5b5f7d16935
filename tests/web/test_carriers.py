"""The carrier of a request, and what it says of the connection, without a server.

The tests with the real gunicorn are in tests/test_gunicorn.py.
"""

import socket
from types import SimpleNamespace

import pytest

from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.web.carriers import Carrier, GeventWebSocketCarrier, GunicornCarrier, PywsgiCarrier, carrier_of
from dockerexec_ws.web.handler import HANDLER


@pytest.fixture
def connection():
    """A socket of a connection that arrived at 127.0.0.2."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.2", 0))
        yield sock


def environs(sock):
    """The environ in which each server describes its connection."""
    handler = SimpleNamespace(socket=sock)
    return {
        PywsgiCarrier: {HANDLER: handler},
        GeventWebSocketCarrier: {"wsgi.websocket": SimpleNamespace(handler=handler)},
        GunicornCarrier: {"gunicorn.socket": sock, "wsgi.input": None},
    }


CARRIERS = [PywsgiCarrier, GeventWebSocketCarrier, GunicornCarrier]


@pytest.mark.parametrize("kind", CARRIERS)
def test_each_server_has_its_carrier(connection, kind):
    carrier = carrier_of(environs(connection)[kind])
    assert type(carrier) is kind
    assert carrier.upgraded == (kind is GeventWebSocketCarrier)


@pytest.mark.parametrize("kind", CARRIERS)
def test_each_carrier_knows_where_the_connection_arrived(connection, kind):
    assert carrier_of(environs(connection)[kind]).local_address == "127.0.0.2"


@pytest.mark.parametrize("kind", CARRIERS)
def test_a_connection_that_is_closed_has_no_address(connection, kind):
    carrier = carrier_of(environs(connection)[kind])
    connection.close()
    assert carrier.local_address == ""


@pytest.mark.parametrize("kind", CARRIERS)
def test_a_unix_socket_has_no_address(kind):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert carrier_of(environs(ours)[kind]).local_address == ""


@pytest.mark.parametrize("kind", [PywsgiCarrier, GeventWebSocketCarrier])
def test_the_servers_on_pywsgi_get_an_empty_answer_at_the_end(connection, kind):
    assert carrier_of(environs(connection)[kind]).finish() == []


def test_gunicorns_worker_gets_its_sign_at_the_end(connection):
    with pytest.raises(StopIteration):
        carrier_of(environs(connection)[GunicornCarrier]).finish()


def test_an_unknown_server_gives_no_socket():
    carrier = carrier_of({"wsgi.url_scheme": "http"})
    assert type(carrier) is Carrier
    assert carrier.local_address == ""
    with pytest.raises(RefusedError, match="500 This server cannot serve WebSockets"):
        carrier.take_socket()
