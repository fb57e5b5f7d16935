"""The versions of the wire protocol. Client and server agree on one by the WebSocket's subprotocol."""

from collections.abc import Collection, Sequence
from typing import Protocol

from dockerexec_ws.protocol import v1
from dockerexec_ws.protocol.events import FromClient, FromServer, Sent, Stream


class Codec(Protocol):
    """One version: how events become messages, and messages events. A module can be a codec."""

    @property
    def STDIN_PREFIX(self) -> bytes:  # noqa: N802  # a constant of the module
        """The byte that messages with stdin begin with, if the rest of them is stdin, so that they may be cut.

        Otherwise b"".
        """

    def encode(self, event: Sent, /) -> bytes:
        """Return *event* as a message. Raises ValueError or struct.error if a number is out of range."""

    def encode_output(self, stream: Stream, parts: Sequence[bytes | memoryview], /) -> Sequence[bytes | memoryview]:
        """Return one message with the output *parts*, as parts to join or to send in a row."""

    def parse_client_message(self, message: bytes, /) -> FromClient:
        """Read one message from a client. Never raises."""

    def parse_server_message(self, message: bytes | bytearray, /) -> FromServer:
        """Read one message from a server. Never raises."""


VERSIONS: dict[str, Codec] = {"dockerexec-ws": v1}
"""The codecs by subprotocol, oldest version first."""


def codec_of(subprotocol: str | None) -> Codec:
    """Return the codec for a connection with *subprotocol*. A connection without a subprotocol speaks version 1."""
    return v1 if subprotocol is None else VERSIONS[subprotocol]


def choose(offered: Collection[str]) -> str | None:
    """Return the newest version that a client offers by its subprotocols; None if it offers none."""
    return next((name for name in reversed(VERSIONS) if name in offered), None)


def offers() -> list[str]:
    """Return the subprotocols that a client should offer. While version 1 is the only one, it offers none.

    The oldest version comes first, because docker-exec-websocket-server accepts the first subprotocol.
    """
    return list(VERSIONS) if len(VERSIONS) > 1 else []
