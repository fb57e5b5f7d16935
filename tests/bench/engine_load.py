"""Sessions without a server: ``RawSession`` (the engine's hijacked stream) and ``CliSession`` (the docker command)."""

import json
import os
import socket
import subprocess
from urllib.parse import urlsplit

from tests.bench.load import MESSAGE_SIZE, TIMEOUT, Session, SessionFailedError


class RawSession(Session):
    """The engine alone: hand-made requests for create, start and inspect, and the hijacked stream."""

    def __init__(self, engine, container, argv):
        super().__init__()
        self._engine = engine
        self._left = 0
        self._head = b""
        body = {"Cmd": argv, "AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
        self._exec = engine.ask("POST", f"/containers/{container}/exec", body)["Id"]
        self._socket, early = engine.hijack(f"/exec/{self._exec}/start", {"Detach": False, "Tty": False})
        self._take(memoryview(early) if early else None)

    def fileno(self):
        return self._socket.fileno()

    def end(self):
        self._socket.shutdown(socket.SHUT_WR)

    def close(self):
        self._socket.close()

    def _write(self, data):
        self._socket.sendall(data[:MESSAGE_SIZE])
        return len(data[:MESSAGE_SIZE])

    def _read(self):
        return self._buffer[: self._socket.recv_into(self._buffer)]

    def _take(self, data):
        if data is None:
            return
        if not data:
            while self.exit_code is None:
                self.exit_code = self._engine.ask("GET", f"/exec/{self._exec}/json")["ExitCode"]
        position = 0
        while position < len(data):
            if self._left:
                size = min(self._left, len(data) - position)
                self.received += size
                self._left -= size
                position += size
            else:
                wanted = 8 - len(self._head)
                self._head += data[position : position + wanted]
                position += wanted
                if len(self._head) == 8:
                    self._left = int.from_bytes(self._head[4:], "big")
                    self._head = b""


class CliSession(Session):
    """``docker exec -i`` with its output in a pipe."""

    def __init__(self, address, container, argv):
        super().__init__()
        self._process = subprocess.Popen(
            ["docker", "-H", address, "exec", "-i", container, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def fileno(self):
        return self._process.stdout.fileno()

    @property
    def input(self):
        return self._process.stdin

    def end(self):
        self._process.stdin.close()

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()

    def _write(self, data):
        return os.write(self._process.stdin.fileno(), data[:MESSAGE_SIZE])

    def _read(self):
        return self._buffer[: os.readv(self.fileno(), [self._buffer])]

    def _take(self, data):
        self.received += len(data)
        if not data:
            self.exit_code = self._process.wait(TIMEOUT)


class EngineConnection:
    """The part of the engine's API that the raw stream needs, over a unix socket or TCP (no TLS)."""

    def __init__(self, address):
        self._address = address
        self._socket = self._connect()  # kept for all requests

    def _connect(self):
        if self._address.startswith("unix://"):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(TIMEOUT)
            sock.connect(self._address.removeprefix("unix://"))
            return sock
        parts = urlsplit(self._address)
        return socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)

    def ask(self, method, path, body=None):
        """Send a request; return the JSON of the answer."""
        self._socket.sendall(_request(method, path, body))
        status, headers, data = _response_head(self._socket)
        if headers.get("transfer-encoding") == "chunked":
            while not data.endswith(b"0\r\n\r\n"):
                data += self._socket.recv(65536)
            size, _, data = data.partition(b"\r\n")
            data = data[: int(size, 16)]
        else:
            while len(data) < int(headers["content-length"]):
                data += self._socket.recv(65536)
        if status >= 400:
            raise SessionFailedError(f"engine: {data.decode()}")
        return json.loads(data)

    def hijack(self, path, body):
        """Return the socket of a hijacked connection, and the bytes that have come already."""
        sock = self._connect()
        sock.sendall(_request("POST", path, body, "Connection: Upgrade\r\nUpgrade: tcp\r\n"))
        status, _, early = _response_head(sock)
        if status not in (101, 200):
            raise SessionFailedError(f"engine: {status}")
        return sock, early


def _request(method, path, body, headers=""):
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: engine\r\n{headers}Content-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _response_head(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise SessionFailedError("the engine broke off")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, rest
