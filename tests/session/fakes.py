"""Fakes of the connection, the engine and the observers, to test a session's logic without an engine or a network."""

from collections import deque

from gevent.event import Event
from gevent.queue import Queue

from dockerexec_ws.access.admission import Client
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.targets import Target
from dockerexec_ws.engine.docker import ExecState
from dockerexec_ws.errors import ConnectionClosedError, EngineUnavailableError

TARGET = Target(reference="web", id="c0ffee", name="web")


def client_of(identity=None):
    return Client(None if identity is None else Identity(identity), "192.0.2.1", None)


class FakeSession:
    """The part of a session that observers see."""

    def __init__(self, *, end=None, identity=None):
        self.id = "0123456789abcdef"
        self.client = client_of(identity)
        self.target = TARGET
        self.argv = ("bash", "-c", "exit")
        self.user = None
        self.tty = False
        self.bytes_in = 2
        self.bytes_out = 3
        self.end = end


class FakeChannel:
    """A connection without a network. ``sent`` is what the client got, ``closed`` the close code and patience.

    While ``stalled``, the client reads nothing and ``send`` waits.
    """

    def __init__(self):
        self.ending = None
        self.subprotocol = None
        self.sent = []
        self.closed = None
        self.aborted = False
        self.holds_little = False
        self.delivered = 0
        self.stalled = False
        self._messages = deque()
        self._changed = Event()

    def client_sends(self, *messages):
        self._messages.extend(messages)
        self._changed.set()

    def client_goes(self):
        self._end("the peer vanished")

    def client_reads(self):
        self.stalled = False
        self._changed.set()

    def _end(self, ending):
        self.ending = self.ending or ending
        self._changed.set()

    def _wait(self):
        self._changed.clear()
        self._changed.wait()

    @property
    def message_waits(self):
        return bool(self._messages)

    def receive(self):
        while not self._messages and not self.ending:
            self._wait()
        return self._messages.popleft() if self._messages else None

    def send(self, message):
        while self.stalled and not self.ending:
            self._wait()
        if self.ending:
            raise ConnectionClosedError(self.ending)
        self.sent.append(message)

    def send_at_once(self, parts):
        if self.stalled or self.ending:
            return False
        self.sent.append(b"".join(parts))
        return True

    def send_soon(self, message):
        if not self.ending:
            self.sent.append(message)

    def hold_little(self):
        self.holds_little = True

    def close(self, code=1000, *, patience=None):
        if self.closed is None:
            self.closed = int(code), patience
        self._end("we closed")

    def abort(self):
        self.aborted = True
        self._end("we closed")


class FakeStream:
    """The stream of an exec. ``process_writes`` makes its process write; ``stdin`` is what the process has read.

    The process reads only while ``reads`` is set. ``parts`` counts the writes that stdin came in.
    """

    def __init__(self):
        self.stdin = b""
        self.parts = 0
        self.reads = Event()
        self.reads.set()
        self.stdin_ended = False
        self.closed = False
        self.ends_at_half_close = False
        self._output = Queue()

    def process_writes(self, data, number=1):
        self._output.put(bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data)

    def process_exits(self):
        self._output.put(b"")

    def breaks_off(self, error=None):
        self._output.put(error or EngineUnavailableError("the connection to the engine broke off"))

    def read(self, _size):
        data = self._output.get()
        if isinstance(data, Exception):
            raise data
        return memoryview(data)

    def write(self, parts, *, wait=True):
        if not self.reads.is_set():
            if not wait:
                return 0
            self.reads.wait()
        self.stdin += b"".join(parts)
        self.parts += len(parts)
        return sum(map(len, parts))

    def half_close(self):
        self.stdin_ended = True

    def close(self):
        self.closed = True
        self.breaks_off()


class FakeEngine:
    """An engine with one exec, whose process exits with *exit_code*.

    ``create``, ``start`` and ``resize`` are called at each such request. They may raise, or wait.
    """

    sizes_at_create = True
    timeout = 1.0

    def __init__(self, *, exit_code=0):
        self.stream = FakeStream()
        self.options = None
        self.sizes = []
        self.create = self.start = self.resize = lambda: None
        self._state = ExecState("c0ffee", running=False, exit_code=exit_code, pid=1)

    def create_exec(self, container, argv, **options):
        self.create()
        self.options = {"container": container, "argv": argv} | options
        return "exec"

    def start_exec(self, _exec_id, *, tty):
        self.start()
        return self.stream

    def exec_state(self, _exec_id):
        return self._state

    def resize_exec(self, _exec_id, rows, columns):
        self.resize()
        self.sizes.append((rows, columns))


class FakeExitWatch:
    """Watches nothing: the fake engine ends each stream."""

    def watch(self, process):
        pass

    def forget(self, process):
        pass


class FakeKiller:
    """Records in ``ended`` whose processes it was told to end. *end* returns whether they have ended, and may raise."""

    def __init__(self, end=lambda: True):
        self.ended = []
        self._end = end

    def end(self, container, marker, process):
        self.ended.append((container, marker))
        return self._end()
