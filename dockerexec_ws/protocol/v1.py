"""Version 1 of the wire protocol: a WebSocket message is one code byte and a payload."""

import enum
import struct
from collections.abc import Sequence

from dockerexec_ws.protocol.events import (
    End,
    Error,
    FromClient,
    FromServer,
    Malformed,
    Output,
    Pause,
    Resize,
    Resume,
    Sent,
    Shutdown,
    Stdin,
    Stopped,
    Stream,
    Unknown,
)

_SIZE = struct.Struct("<HH")


class Code(enum.IntEnum):
    """The first byte of a message. docker-exec-websocket-server 3.0.0 uses the same numbers."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    RESIZE = 50
    RESUME = 100
    PAUSE = 101
    END = 102
    STOPPED = 200
    SHUTDOWN = 201
    ERROR = 202


STDIN_PREFIX = bytes([Code.STDIN])
"""What messages with stdin begin with. The rest of them is stdin, so they may be cut anywhere."""

_STREAMS = {Code.STDOUT: Stream.STDOUT, Code.STDERR: Stream.STDERR}
_OUTPUT = {stream: bytes([code]) for code, stream in _STREAMS.items()}


def parse_client_message(message: bytes) -> FromClient:
    """Read one message from a client. Never raises."""
    match message[0] if message else None:
        case Code.STDIN:
            return Stdin(memoryview(message)[1:])
        case Code.RESIZE:
            if len(message) != 1 + _SIZE.size:
                return Malformed(
                    f"a resize message has {_SIZE.size} bytes after its code (rows and columns, "
                    f"two unsigned 16-bit little-endian numbers), not {len(message) - 1}"
                )
            return Resize(*_SIZE.unpack_from(message, 1))
        case Code.RESUME:
            return Resume()
        case Code.PAUSE:
            return Pause()
        case Code.END:
            return End()
        case code:
            return Unknown(code)


def parse_server_message(message: bytes | bytearray) -> FromServer:
    """Read one message from a server. Never raises."""
    match message[0] if message else None:
        case Code.STDOUT | Code.STDERR as code:
            return Output(_STREAMS[Code(code)], memoryview(message)[1:])
        case Code.RESUME:
            return Resume()
        case Code.PAUSE:
            return Pause()
        case Code.STOPPED:
            if len(message) != 2:
                return Malformed(f"a message with an exit code has 1 byte of it, not {len(message) - 1}")
            return Stopped(message[1])
        case Code.SHUTDOWN:
            return Shutdown()
        case Code.ERROR:
            return Error(message[1:].decode(errors="replace"))
        case code:
            return Unknown(code)


def encode(event: Sent) -> bytes:
    """Return *event* as a message. Raises ValueError or struct.error if a number is out of range."""
    match event:
        case Stdin(data):
            return _message(Code.STDIN, data)
        case Resize(rows, columns):
            return _message(Code.RESIZE, _SIZE.pack(rows, columns))
        case Resume():
            return _message(Code.RESUME)
        case Pause():
            return _message(Code.PAUSE)
        case End():
            return _message(Code.END)
        case Output(stream, data):
            return b"".join(encode_output(stream, [data]))
        case Stopped(exit_code):
            return _message(Code.STOPPED, bytes([exit_code]))
        case Shutdown():
            return _message(Code.SHUTDOWN)
        case Error(text):
            return _message(Code.ERROR, text.encode())


def encode_output(stream: Stream, parts: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """Return one message with the output *parts*, as parts to join or to send in a row. Copies no output."""
    return [_OUTPUT[stream], *parts]


def _message(code: Code, payload: bytes | memoryview = b"") -> bytes:
    return b"".join([bytes([code]), payload])
