"""Helpers for the tests of the client. They need no gevent."""

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
    """Like ``pytest.raises``, for programs without pytest; yields a list that gets the exception."""
    caught = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    assert caught, f"no {kind.__name__}"
    assert match in str(caught[0]), caught[0]


@dataclass
class Opened:
    """A process, and the parts that it is made of."""

    process: Process
    session: Session
    connection: Connection
    protocol: ClientProtocol


def opened(url, argv, **times):
    """Do the same as ``connect``, but return all parts; *times* are those of a Session."""
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
    """Yield a list; after the block it holds the reading threads of the connections opened in the block."""
    before = set(threading.enumerate())
    started = []
    yield started
    started += [each for each in set(threading.enumerate()) - before if each.name == "dockerexec-ws session"]
