"""The light load generator: sessions on blocking sockets that count bytes and look at few of them.

All ways to reach a process have one interface: ``WebSocketSession``, ``LibrarySession`` (the Python client), and the
sessions of ``engine_load``, which use no server.
"""

import contextlib
import select
import socket
import struct
from urllib.parse import urlencode, urlsplit

from dockerexec_ws.client import connect

READ_SIZE = 1024 * 1024
MESSAGE_SIZE = 64 * 1024
"""Bytes of stdin in a message: what node's streams read at a time, so what the original's client sends."""

TIMEOUT = 20.0
"""Seconds without a byte after which a session counts as hung."""


class SessionFailedError(Exception):
    """A session did not reach its end: it hung, or the server broke off or reported an error."""


class Session:
    """The base of all sessions: a socket or pipe each way, ``received`` bytes of output, and an ``exit_code``."""

    def __init__(self):
        self.received = 0
        self.exit_code = None
        self._buffer = memoryview(bytearray(READ_SIZE))

    def read(self):
        """Wait for data and count it."""
        if not select.select([self], [], [], TIMEOUT)[0]:
            raise SessionFailedError("hung")
        self._take(self._read())

    def read_until(self, condition):
        """Read until *condition* returns something true; the session must not end earlier."""
        while not condition():
            if self.exit_code is not None:
                raise SessionFailedError(f"exited with {self.exit_code}")
            self.read()

    def drain(self):
        """Read until the end."""
        while self.exit_code is None:
            self.read()

    def write(self, data):
        """Send stdin and wait until it was accepted."""
        data = memoryview(data)
        while data:
            readable, writable, _ = select.select([self], [self.input] if self._may_write else [], [], TIMEOUT)
            if readable:
                self._take(self._read())
            if writable and self._may_write:
                data = data[self._write(data) :]
            if not readable and not writable:
                raise SessionFailedError("hung")

    _may_write = True

    @property
    def input(self):
        return self


class WebSocketSession(Session):
    """A minimal client of the servers' common protocol. It masks with zeros, which costs nothing."""

    def __init__(self, url, argv, *, tty=False):
        super().__init__()
        self.messages = 0
        self.ready = False
        self._may_write = True
        self._head = b""  # the beginning of a frame, until its first payload byte has come
        self._left = 0  # bytes of the current frame that are still to come
        self._kept = None  # the payload of a frame that is not stream data
        parts = urlsplit(url)
        query = urlencode([("tty", "true" if tty else "false"), *(("command", word) for word in argv)])
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._open(f"{parts.path}?{query}", parts.netloc)
        except BaseException:
            self.close()
            raise

    def _open(self, target, host):
        self._socket.sendall(
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            data = self._socket.recv(4096)
            if not data:
                raise SessionFailedError("refused")
            head += data
        head, _, rest = head.partition(b"\r\n\r\n")
        status = head.partition(b"\r\n")[0].decode()
        if " 101 " not in status:
            raise SessionFailedError(status)
        self._take(memoryview(rest))
        self.read_until(lambda: self.ready)

    def fileno(self):
        return self._socket.fileno()

    def pause(self):
        self._send(b"\x65")

    def resume(self):
        self._send(b"\x64")

    def end(self):
        self._send(b"\x66")

    def close(self):
        self._socket.close()

    def _send(self, message):
        self._socket.sendall(_masked(2, message))

    def _write(self, data):
        piece = data[:MESSAGE_SIZE]
        self._socket.sendall(b"".join([_header(2, len(piece) + 1), b"\0", piece]))
        return len(piece)

    def _read(self):
        try:
            return self._buffer[: self._socket.recv_into(self._buffer)]
        except ConnectionError:
            return self._buffer[:0]

    def _take(self, data):
        if not data and not self.ready:
            return
        if not data:
            raise SessionFailedError("broken off")
        position = 0
        while position < len(data):
            if self._left:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                if self._kept is None:
                    self.received += len(piece)
                else:
                    self._kept += piece
                    if not self._left:
                        self._take_message(self._kept)
                continue
            # The head of a frame: 2 to 10 bytes and the first of its payload.
            self._head += data[position : position + 1]
            position += 1
            if len(self._head) >= 2:
                short = self._head[1] & 127
                size = 2 + {126: 2, 127: 8}.get(short, 0)
                wanted = size + (short != 0) - len(self._head)
                self._head += data[position : position + wanted]
                position += min(wanted, len(data) - position)
                if len(self._head) == size + (short != 0):
                    self._start_frame(size, short)

    def _start_frame(self, size, short):
        head, self._head = self._head, b""
        length = short if short < 126 else struct.unpack(">H" if short == 126 else ">Q", head[2:size])[0]
        self._left = max(length - 1, 0)
        code = head[-1]
        stream = head[0] == 0x82 and length and code in (1, 2)
        self.messages += bool(stream)
        self._kept = None if stream else bytearray([head[0], *head[size:]])
        if not stream and not self._left:
            self._take_message(self._kept)

    def _take_message(self, message):
        if message[0] == 0x88:
            with contextlib.suppress(OSError):
                self._socket.sendall(_masked(8, message[1:]))
            if self.exit_code is None:
                raise SessionFailedError(f"closed {message[1:].hex()}")
        elif message[0] == 0x89:
            self._socket.sendall(_masked(10, message[1:]))
        elif message[0] == 0x82 and len(message) > 1:
            match message[1]:
                case 100:
                    self.ready = self._may_write = True
                case 101:
                    self._may_write = False
                case 200:
                    self.exit_code = message[2]
                case 201 | 202:
                    raise SessionFailedError(message[2:].decode() or "server shut down")


class LibrarySession(Session):
    """The package's own Python client, used as a program would use it."""

    def __init__(self, url, argv):
        super().__init__()
        self._process = connect(url, argv, open_timeout=TIMEOUT)

    def write(self, data):
        self._process.stdin.write(data)

    def end(self):
        self._process.stdin.close()

    def drain(self):
        while size := self._process.stdout.readinto1(self._buffer):
            self.received += size
        self.exit_code = self._process.wait(TIMEOUT)

    def close(self):
        self._process.close()


def _header(opcode, size):
    if size < 126:
        return bytes([0x80 | opcode, 0x80 | size]) + bytes(4)
    if size < 65536:
        return bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2, "big") + bytes(4)
    return bytes([0x80 | opcode, 0xFF]) + size.to_bytes(8, "big") + bytes(4)


def _masked(opcode, payload):
    return _header(opcode, len(payload)) + bytes(payload)
