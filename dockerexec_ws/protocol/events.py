"""What clients and servers tell each other, in every version of the wire protocol."""

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
    """The sender takes stream data again; the server's first one says that the process runs."""


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
    """The process has exited; *exit_code* is 0 to 255."""

    exit_code: int


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server is going away."""


@dataclass(frozen=True, slots=True)
class Error:
    """The server says in *text* what is wrong. The session may go on."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message without a meaning, which its receiver ignores; *code* is None for an empty one."""

    code: int | None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message with a meaning, but in the wrong form; *text* tells the sender what is wrong."""

    text: str


Sent = Stdin | Resize | Resume | Pause | End | Output | Stopped | Shutdown | Error
FromClient = Stdin | Resize | Resume | Pause | End | Unknown | Malformed
FromServer = Output | Resume | Pause | Stopped | Shutdown | Error | Unknown | Malformed
