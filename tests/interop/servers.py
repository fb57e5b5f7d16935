"""The two servers of the parity tests behind one interface, and the peer that records their messages."""

import contextlib
from dataclasses import dataclass

from websockets.frames import Opcode

from dockerexec_ws.protocol.v1 import Code
from tests.conftest import processes, wait_until
from tests.peer import READY, ClosedError, Peer


def exited(code):
    return bytes([Code.STOPPED, code])


class Containing:
    """Equal to all bytes that contain *part*, for text that comes from the container runtime."""

    def __init__(self, part):
        self.part = part

    def __eq__(self, other):
        return self.part in other

    def __repr__(self):
        return f"<contains {self.part!r}>"


@dataclass(frozen=True)
class Outcome:
    """A connection's transcript: each stream joined, the other messages in order, and the close code."""

    stdout: bytes | Containing = b""
    stderr: bytes | Containing = b""
    messages: tuple[bytes | Containing, ...] = (READY, exited(0))
    close_code: int = 1000


class Recorder(Peer):
    """A peer that keeps what it has read."""

    def __init__(self, *arguments, **options):
        self.received = []
        self.closed = None
        super().__init__(*arguments, timeout=10.0, **options)

    def receive(self):
        if self.closed is None:
            try:
                message = super().receive()
            except ClosedError as closed:
                self.closed = closed
            else:
                self.received.append(message)
                return message
        raise self.closed

    def until_error(self):
        """Wait for an error message (True) or the end (False)."""
        with contextlib.suppress(ClosedError):
            while self.receive()[0] != Code.ERROR:
                pass
            return True
        return False

    def pong(self):
        """Wait for the pong to a ping; return the messages that came before it."""
        self.protocol.send_ping(b"")
        self._flush()
        frames = []
        while (frame := self._next_event()).opcode is not Opcode.PONG:
            frames.append(bytes(frame.data))
        return frames

    def outcome(self):
        with contextlib.suppress(ClosedError):
            while True:
                self.receive()
        streams = {
            code: b"".join(message[1:] for message in self.received if message[0] == code)
            for code in (Code.STDOUT, Code.STDERR)
        }
        others = tuple(message for message in self.received if message[0] not in streams)
        return Outcome(streams[Code.STDOUT], streams[Code.STDERR], others, self.closed.code)


class Here:
    """This server, in this process."""

    def __init__(self, serve, docker_api, container):
        self._serve = serve
        self._api = docker_api
        self._container = container
        self._events = []

    def start(self, **options):
        self._server = self._serve(**options)
        self.url = self._server.url
        self._server.subscribe("session", lambda _: self._events.append({"event": "session"}))
        for name in ("session added", "session removed"):
            self._server.subscribe(name, lambda count, name=name: self._events.append({"event": name, "count": count}))

    def stop(self):
        self._server.close()

    def events(self, count):
        """Return the first *count* events of the server object."""
        wait_until(lambda: len(self._events) >= count)
        return self._events[:count]

    def wait_for_exit(self):
        """Wait until the server knows that the only session's process has exited."""
        wait_until(lambda: self._server.sessions[0].exit_code is not None)

    def processes(self):
        return processes(self._api, self._container)

    def connect(self, *argv, **options):
        return Recorder(self.url, *argv, **options)


class Original:
    """The original, in a node process."""

    def __init__(self, run_node, docker_api, container, docker_socket):
        self._run_node = run_node
        self._api = docker_api
        self._container = container
        self._docker_socket = docker_socket

    def start(self, max_sessions=10, wrapper_command=()):
        self._node = self._run_node(
            "original_server.js",
            containerId=self._container,
            path="/x",
            dockerSocket=self._docker_socket,
            maxSessions=max_sessions,
            wrapperCommand=wrapper_command,
        )
        self.url = f"ws://127.0.0.1:{self._node.event()['port']}/x"

    def stop(self):
        self._node.process.terminate()

    def events(self, count):
        return [self._node.event() for _ in range(count)]

    def wait_for_exit(self):
        assert self.events(3)[-1]["event"] == "session removed"

    processes = Here.processes
    connect = Here.connect
