"""The messages of the wire protocol: one WebSocket message is one code byte and a payload."""

import enum
import struct
from dataclasses import dataclass

_SIZE = struct.Struct("<HH")


class Code(enum.IntEnum):
    """The first byte of a message, as docker-exec-websocket-server 3.0.0 numbers them."""

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


@dataclass(frozen=True, slots=True)
class Stdin:
    """Bytes for the process (code 0)."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class Resize:
    """The terminal has a new size (code 50), in characters."""

    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Resume:
    """The client takes stream data again (code 100)."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The client takes no stream data until the next Resume (code 101)."""


@dataclass(frozen=True, slots=True)
class End:
    """No stdin will follow (code 102)."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message without a meaning; *code* is None for an empty one. To be ignored."""

    code: int | None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that means something but is not well formed; *text* tells the client what is wrong."""

    text: str


ClientMessage = Stdin | Resize | Resume | Pause | End | Unknown | Malformed


def parse_client_message(message: bytes) -> ClientMessage:
    """Read one message of a client; never raises."""
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


def make_message(code: Code, *payload: bytes) -> bytes:
    """Make one message of the server; the parts of *payload*, joined, are as the code wants it."""
    return b"".join([bytes([code]), *payload])


def stopped_message(exit_code: int) -> bytes:
    """Make the last message of a session that ended by itself (code 200); *exit_code* is 0 to 255."""
    return make_message(Code.STOPPED, bytes([exit_code]))


def error_message(text: str) -> bytes:
    """Make an error message (code 202)."""
    return make_message(Code.ERROR, text.encode())
