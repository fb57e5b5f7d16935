"""What clients and servers tell each other, independent of the version of the wire protocol."""

import enum
from dataclasses import dataclass


class Stream(enum.IntEnum):
    """A stream of output, by the file descriptor to which the process writes it."""

    STDOUT = 1
    STDERR = 2


@dataclass(frozen=True, slots=True)
class Stdin:
    """Bytes for the process."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class Resize:
    """The terminal has a new size, in characters, each 0 to 65535."""

    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class Resume:
    """The sender takes stream data again. The server's first Resume means that the process runs."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The sender takes no stream data until its next Resume."""


@dataclass(frozen=True, slots=True)
class End:
    """No stdin follows."""


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that the process wrote to *stream*."""

    stream: Stream
    data: memoryview


@dataclass(frozen=True, slots=True)
class Stopped:
    """The process exited with *exit_code*, 0 to 255."""

    exit_code: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server is going away."""


@dataclass(frozen=True, slots=True)
class Error:
    """The server tells in *text* what is wrong. The session may go on."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message with an unknown code, or an empty one (*code* is None). The receiver ignores it."""

    code: int | None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message with a known code whose payload is wrong. *text* tells its sender why."""

    text: str


Sent = Stdin | Resize | Resume | Pause | End | Output | Stopped | Shutdown | Error
FromClient = Stdin | Resize | Resume | Pause | End | Unknown | Malformed
FromServer = Output | Resume | Pause | Stopped | Shutdown | Error | Unknown | Malformed
