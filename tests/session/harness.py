"""A session that runs on fakes."""

import functools

import gevent

from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.engine.run import Run
from dockerexec_ws.session.session import Session
from dockerexec_ws.settings.settings import Settings
from tests.conftest import wait_until
from tests.session.fakes import TARGET, FakeChannel, FakeEngine, FakeExitWatch, FakeKiller, client_of

MARKER = "MARKER=1"
READY, PAUSE, STDIN_END = b"\x64", b"\x65", b"\x66"
LEFT, ENDED, MAY_BE_LEFT = None, False, True


class Harness:
    """A session on fakes that runs in a separate greenlet."""

    def __init__(self, *, tty=False, size=None, exit_code=0, killer=None, **options):
        self.channel = FakeChannel()
        self.engine = FakeEngine(exit_code=exit_code)
        self.killer = killer or FakeKiller()
        self.stream = self.engine.stream
        self.session = Session(
            self.channel,
            self.engine,
            functools.partial(Run, self.engine, self.killer, FakeExitWatch()),
            MARKER,
            client=client_of(),
            target=TARGET,
            request=ExecRequest(argv=("true",), tty=tty, size=size),
            settings=Settings.of("web", options),
        )
        self.greenlet = None

    def start(self):
        self.greenlet = gevent.spawn(self.session.run)
        return self

    def ready(self):
        self.start()
        wait_until(lambda: self.channel.sent[:1] == [READY])
        return self

    def end(self):
        """Wait until the session is over; return how it ended."""
        return self.greenlet.get(timeout=10)


def raising(error):
    def raises():
        raise error

    return raises
