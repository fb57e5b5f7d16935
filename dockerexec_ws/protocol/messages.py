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
    """The sender takes stream data again (code 100); the server's first one says that the process runs."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The sender takes no stream data until its next Resume (code 101)."""


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


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes of the process: *code* is STDOUT (1) or STDERR (2)."""

    code: Code
    data: memoryview


@dataclass(frozen=True, slots=True)
class Stopped:
    """The process has exited (code 200); *exit_code* is 0 to 255."""

    exit_code: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server is going away (code 201)."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """The server tells what is wrong (code 202); the session need not be over."""

    text: str


ClientMessage = Stdin | Resize | Resume | Pause | End | Unknown | Malformed
ServerMessage = Output | Resume | Pause | Stopped | Shutdown | Complaint | Unknown | Malformed


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


def parse_server_message(message: bytes | bytearray) -> ServerMessage:
    """Read one message of a server; never raises."""
    match message[0] if message else None:
        case Code.STDOUT | Code.STDERR as code:
            return Output(Code(code), memoryview(message)[1:])
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
            return Complaint(message[1:].decode(errors="replace"))
        case code:
            return Unknown(code)


def make_message(code: Code, *payload: bytes | memoryview) -> bytes:
    """Make one message; the parts of *payload*, joined, are as the code wants it."""
    return b"".join([bytes([code]), *payload])


def stopped_message(exit_code: int) -> bytes:
    """Make the last message of a session that ended by itself (code 200); *exit_code* is 0 to 255."""
    return make_message(Code.STOPPED, bytes([exit_code]))


def error_message(text: str) -> bytes:
    """Make an error message (code 202)."""
    return make_message(Code.ERROR, text.encode())


def resize_message(rows: int, columns: int) -> bytes:
    """Make a message with the terminal's new size (code 50), each 0 to 65535."""
    return make_message(Code.RESIZE, _SIZE.pack(rows, columns))
