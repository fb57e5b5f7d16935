"""What a scenario of the parity tests is, and how one is run against either server."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from websockets.frames import Opcode

from dockerexec_ws.protocol.v1 import Code
from tests.conftest import wait_until
from tests.interop.servers import Here, Original, Outcome
from tests.peer import READY, HandshakeError, masked

NO_CLOSE_FRAME = 1006
END = bytes([Code.END])
PAUSE = bytes([Code.PAUSE])
RESUME = bytes([Code.RESUME])
SHUTDOWN = bytes([Code.SHUTDOWN])
SIZE = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"


def stdin(data):
    return bytes([Code.STDIN]) + data


def resize(rows, columns):
    return bytes([Code.RESIZE]) + rows.to_bytes(2, "little") + columns.to_bytes(2, "little")


def error(text):
    return bytes([Code.ERROR]) + text.encode()


@dataclass(frozen=True)
class Scenario:
    """*run* gets one of the servers, started with *options*. Its result has to equal *here* or *original*.

    If there is an *original*, *reason* says why this server does not do the same.
    """

    name: str
    run: Callable[[Here | Original], object]
    here: object
    original: object = None
    reason: str = ""
    options: Mapping[str, object] = field(default_factory=dict)

    def expected(self, side):
        if side == "here":
            return self.here
        if self.original is not None:
            return self.original
        return replace(self.here, close_code=NO_CLOSE_FRAME) if isinstance(self.here, Outcome) else self.here


def session(*argv, steps=(), early=(), **options):
    """Make a run of one session. After the server's ready, each step is a message or a function of the peer.

    The messages *early* are sent in one piece with the request, because a slow machine could delay them otherwise.
    """

    def run(side):
        try:
            peer = side.connect(
                *argv, send_at_once=b"".join(masked(Opcode.BINARY, message) for message in early), **options
            )
        except HandshakeError as refused:
            return refused.response.status_code
        with peer:
            if steps:
                peer.ready()
            take(peer, steps)
            return peer.outcome()

    return run


def take(peer, steps):
    for step in steps:
        if callable(step):
            step(peer)
        elif isinstance(step, str):
            peer.send_text(step)
        else:
            peer.send(step)


def until(wanted):
    return lambda peer: peer.until(wanted)


def until_message(wanted):
    def step(peer):
        while peer.receive() != wanted:
            pass

    return step


def raw(data):
    return lambda peer: peer.send_raw(data)


def wrong_path(side):
    side.url += "y"
    return session("true")(side)


def session_limit(side):
    with side.connect("cat") as first:
        first.ready()
        refused = session("cat")(side)
        first.send(END)
        first.outcome()
    return refused


def beside_another(*argv, steps):
    """Make a run of a session and another one, which makes /tmp/over once the first is done; return both outcomes."""

    def run(side):
        with side.connect("bash", "-c", "read && >/tmp/over && echo fine") as other, side.connect(*argv) as peer:
            other.ready()
            peer.ready()
            take(peer, steps)
            peer.until_error()
            with contextlib.suppress(OSError):  # the server may have crashed
                other.send(stdin(b"\n"))
            return peer.outcome(), other.outcome()

    return run


def held_output(side):
    with side.connect("bash", "-c", "read; echo out; echo err >&2; exec -a written cat") as peer:
        peer.ready()
        take(peer, [PAUSE, PAUSE, stdin(b"\n")])
        wait_until(lambda: "written" in side.processes())
        assert peer.pong() == []
        take(peer, [RESUME, until(b"out"), END])
        return peer.outcome()


def exit_while_paused(side):
    with side.connect("bash", "-c", "read; echo out; exit 3") as peer:
        peer.ready()
        take(peer, [PAUSE, stdin(b"\n")])
        side.wait_for_exit()
        with contextlib.suppress(OSError):  # the server may have cut the connection
            peer.send(RESUME)
        return peer.outcome()


def long_resize(side):
    with side.connect("bash", "-c", SIZE, tty=True) as peer:
        take(peer, [until(b"ready\r\n"), resize(33, 300) + b"\0"])
        if peer.until_error():
            peer.send(resize(24, 80))
        return peer.outcome()


def shutdown(side):
    with side.connect("cat") as peer:
        peer.ready()
        side.stop()
        return peer.outcome()


def left_by_a_client_that_vanished(side):
    with side.connect("sleep", "61") as peer:
        peer.ready()
        wait_until(lambda: "sleep 61" in side.processes())
    # The server has room for only one session, so it accepts the next once it knows that the first is over.
    wait_until(lambda: READY in session("true")(side).messages)
    return "sleep 61" in side.processes()


def events(side):
    session("true")(side)
    return side.events(3)
