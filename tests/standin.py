"""A stand-in for the engine with scripted answers, for faults that cannot be produced on a real engine."""

import contextlib
import json
import socket

import gevent
from gevent.server import StreamServer

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def frame(stream, payload):
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


class StandInEngine:
    """Answers on a unix socket at *path*.

    *stream* is sent in the same segment as the head of the answer to an exec's start. *states* are the answers to exec
    inspect in order; the last one is repeated. With *keeps_open* the stream never ends. *events* is a queue of the
    engine's events; by default there are none. ``requests`` collects each request as "METHOD path", ``bodies`` that and
    the body, ``headers`` each header line with the request's target.
    """

    def __init__(
        self,
        path,
        *,
        stream=b"",
        states=({"Running": False, "ExitCode": 0, "Pid": 1},),
        keeps_open=False,
        events=None,
        hang_on=None,
        api_version="1.41",
    ):
        self.address = f"unix://{path}"
        self.stream = stream
        self.states = list(states)
        self.keeps_open = keeps_open
        self.events = events
        self.hang_on = hang_on
        self.requests = []
        self.bodies = []
        self.headers = []
        self.api_version = api_version
        self.resize_failures = 0
        self.start_answer = None
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        self._server = StreamServer(listener, self._serve)

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(timeout=0)

    def _serve(self, sock, _address):
        with sock, sock.makefile("rb") as reader:
            while line := reader.readline():
                length = 0
                while (header := reader.readline().strip()) != b"":
                    self.headers.append((line.split()[1].decode(), header.decode()))
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                body = reader.read(length)
                method, path, _ = line.decode().split()
                path = path.removeprefix(f"/v{self.api_version}")
                self.requests.append(f"{method} {path}")
                self.bodies.append((self.requests[-1], json.loads(body or b"{}")))
                if self.hang_on and self.hang_on in path:
                    gevent.sleep(3600)
                if path.endswith("/start") and self.start_answer is None:
                    with contextlib.suppress(OSError):  # the client may not wait for the whole answer
                        sock.sendall(UPGRADED + self.stream)
                        if not self.keeps_open:
                            sock.shutdown(socket.SHUT_WR)
                        while sock.recv(65536):
                            pass
                    return
                if path.startswith("/events") and self.events is not None:
                    self._send_events(sock)
                    return
                status, answer = self._answer(path)
                body = json.dumps(answer).encode()
                sock.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))

    def _send_events(self, sock):
        with contextlib.suppress(OSError):  # nobody listens any longer
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for event in self.events:
                line = json.dumps(event).encode() + b"\n"
                sock.sendall(b"%x\r\n%s\r\n" % (len(line), line))

    def _answer(self, path):
        if path == "/version":
            return b"200 OK", {"ApiVersion": self.api_version, "MinAPIVersion": "1.12"}
        if path.startswith("/containers/") and path.endswith("/json"):
            return b"200 OK", {"Id": "c0ffee", "State": {"Pid": 1}}
        if path.endswith("/start"):
            return self.start_answer
        if path.endswith("/exec"):
            return b"201 Created", {"Id": "e0"}
        if "/resize" in path:
            if self.resize_failures:
                self.resize_failures -= 1
                return b"500 Internal Server Error", {"message": "cannot resize a stopped container"}
            return b"200 OK", {}
        if path.startswith("/exec/"):
            return b"200 OK", self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return b"404 Not Found", {"message": f"no such thing: {path}"}
