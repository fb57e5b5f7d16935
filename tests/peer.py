"""A WebSocket client for tests, which control when it reads and which bytes it sends."""

import contextlib
import socket
from urllib.parse import urlencode, urlsplit

import gevent
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri

from dockerexec_ws.protocol.v1 import Code

READY = b"\x64"


class ClosedError(Exception):
    """The connection ended. *code* is the close code on the wire, or 1006 if there was none."""

    def __init__(self, code, reason):
        super().__init__(f"closed: {code} {reason}")
        self.code = code
        self.reason = reason


class HandshakeError(Exception):
    def __init__(self, response):
        super().__init__(f"{response.status_code} {response.body!r}")
        self.response = response


def masked(opcode, payload, *, fin=True):
    """A client's frame with a mask of zeros."""
    assert len(payload) < 126
    return bytes([fin << 7 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


class Peer:
    """Connects to *url* to run *argv*. By itself it reads only the response to the handshake."""

    made = []  # noqa: RUF012  # closed at the end of each test

    def __init__(
        self,
        url,
        *argv,
        tty=None,
        query=None,
        host=None,
        headers=(),
        extensions=None,
        subprotocols=None,
        ssl_context=None,
        receive_buffer=None,
        send_at_once=b"",
        timeout=30.0,
    ):
        if query is None:
            fields = [] if tty is None else [("tty", "true" if tty else "false")]
            query = urlencode(fields + [("command", word) for word in argv])
        self.timeout = timeout
        parts = urlsplit(url)
        self.socket = socket.socket()
        self.made.append(self)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((parts.hostname, parts.port))
        if ssl_context is not None:
            self.socket.settimeout(timeout)  # for the handshake only
            self.socket = ssl_context.wrap_socket(self.socket, server_hostname=parts.hostname)
            self.socket.settimeout(None)
        self.protocol = ClientProtocol(
            parse_uri(f"{url}?{query}"), extensions=extensions, subprotocols=subprotocols, max_size=None
        )
        request = self.protocol.connect()
        if host is not None:
            del request.headers["Host"]
            request.headers["Host"] = host
        for name, value in headers:
            request.headers[name] = value
        self.protocol.send_request(request)
        self.events = []
        self.fragments = []
        self.socket.sendall(b"".join(self.protocol.data_to_send()) + send_at_once)
        response = self._next_event()
        if self.protocol.handshake_exc is not None:
            self.socket.close()
            raise HandshakeError(response)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _flush(self):
        for chunk in self.protocol.data_to_send():
            if chunk:
                self.socket.sendall(chunk)
            else:
                self.socket.shutdown(socket.SHUT_WR)

    def _next_event(self):
        with gevent.Timeout(self.timeout, AssertionError(f"nothing came within {self.timeout} s")):
            while not self.events:
                try:
                    data = self.socket.recv(256 * 1024)
                except OSError:
                    data = b""
                if data:
                    self.protocol.receive_data(data)
                else:
                    self.protocol.receive_eof()
                with contextlib.suppress(OSError):  # the server may be gone: its earlier messages count
                    self._flush()
                self.events += self.protocol.events_received()
                if not data and not self.events:
                    raise ClosedError(self.protocol.close_code, self.protocol.close_reason)
        return self.events.pop(0)

    def receive(self):
        """Return the next message; raises ClosedError."""
        while True:
            frame = self._next_event()
            if frame.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                self.fragments.append(bytes(frame.data))
                if frame.fin:
                    message = b"".join(self.fragments)
                    self.fragments = []
                    return message

    def send(self, message):
        self.protocol.send_binary(message)
        self._flush()

    def send_text(self, text):
        self.protocol.send_text(text.encode())
        self._flush()

    def send_raw(self, data):
        self.socket.sendall(data)

    def stdin(self, data):
        self.send(b"\x00" + data)

    def resize(self, rows, columns):
        self.send(b"\x32" + rows.to_bytes(2, "little") + columns.to_bytes(2, "little"))

    def resume(self):
        self.send(b"\x64")

    def pause(self):
        self.send(b"\x65")

    def end(self):
        self.send(b"\x66")

    def close(self, code=1000):
        self.protocol.send_close(code)
        self._flush()

    def vanish(self):
        """Leave without a close frame."""
        self.socket.close()

    def ready(self):
        """Wait for the first message."""
        assert self.receive() == READY
        return self

    def until(self, wanted):
        """Read stream output until it contains *wanted*; return what was read."""
        output = b""
        while wanted not in output:
            message = self.receive()
            if message[0] in (Code.STDOUT, Code.STDERR):
                output += message[1:]
        return output

    def transcript(self):
        """Return everything until the end."""
        return Transcript(self)


class Transcript:
    """All messages up to the close: ``stdout``, ``stderr``, the other ``messages`` in order, ``close_code``."""

    def __init__(self, peer):
        stdout, stderr, self.messages = [], [], []
        try:
            while True:
                message = peer.receive()
                if message[0] == Code.STDOUT:
                    stdout.append(message[1:])
                elif message[0] == Code.STDERR:
                    stderr.append(message[1:])
                else:
                    self.messages.append(message)
        except ClosedError as closed:
            self.close_code = closed.code
            self.close_reason = closed.reason
        self.stdout = b"".join(stdout)
        self.stderr = b"".join(stderr)

    @property
    def exit_code(self):
        """The exit code, if the last message told one."""
        return self.messages[-1][1] if self.messages and self.messages[-1][0] == Code.STOPPED else None

    @property
    def errors(self):
        """The texts of all error messages."""
        return [message[1:].decode() for message in self.messages if message[0] == Code.ERROR]
