"""What the tests of the client share. It needs no gevent."""

import contextlib
import random
import threading
from dataclasses import dataclass

from websockets.client import ClientProtocol

from dockerexec_ws.client.connection import Connection
from dockerexec_ws.client.opening import open_websocket, session_url
from dockerexec_ws.client.process import Process
from dockerexec_ws.client.session import Session

DATA = random.Random(6).randbytes(20_000_003)


@contextlib.contextmanager
def raises(kind, match=""):
    """As ``pytest.raises``, for programs without pytest; gives a list that gets the exception."""
    caught = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    assert caught, f"no {kind.__name__}"
    assert match in str(caught[0]), caught[0]


@dataclass
class Opened:
    """A process, and what it is made of."""

    process: Process
    session: Session
    connection: Connection
    protocol: ClientProtocol


def opened(url, argv, **times):
    """Return what ``connect`` makes, but with all its parts; *times* are those of a Session."""
    transport, protocol = open_websocket(session_url(url, argv))
    connection = Connection(transport, protocol)
    session = Session(connection, **times)
    try:
        session.wait_until_ready(30)
    except BaseException:
        session.abandon()
        raise
    return Opened(Process(session, argv, tty=False), session, connection, protocol)


@contextlib.contextmanager
def reading():
    """Give a list that gets the threads that read the connections opened meanwhile."""
    before = set(threading.enumerate())
    started = []
    yield started
    started += [each for each in set(threading.enumerate()) - before if each.name == "dockerexec-ws session"]
