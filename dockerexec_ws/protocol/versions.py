"""The versions of the wire protocol. Client and server agree on one by the WebSocket's subprotocol."""

from collections.abc import Collection, Sequence
from typing import Protocol

from dockerexec_ws.protocol import v1
from dockerexec_ws.protocol.events import FromClient, FromServer, Sent, Stream


class Codec(Protocol):
    """One version: how each event is written as a message, and read from one. A module will do."""

    def encode(self, event: Sent, /) -> bytes:
        """Return the message that tells *event*. Raises ValueError or struct.error if a number is out of range."""

    def encode_output(self, stream: Stream, parts: Sequence[bytes | memoryview], /) -> Sequence[bytes | memoryview]:
        """Return one message with the output *parts* as parts to be joined or sent one after another."""

    def parse_client_message(self, message: bytes, /) -> FromClient:
        """Read one message of a client; never raises."""

    def parse_server_message(self, message: bytes | bytearray, /) -> FromServer:
        """Read one message of a server; never raises."""


VERSIONS: dict[str, Codec] = {"dockerexec-ws": v1}
"""The codecs by subprotocol, oldest version first."""


def codec_of(subprotocol: str | None) -> Codec:
    """Return the codec for a connection with *subprotocol*. Without one it speaks version 1, as the original does."""
    return v1 if subprotocol is None else VERSIONS[subprotocol]


def choose(offered: Collection[str]) -> str | None:
    """Return the newest version among the subprotocols that a client offers; None if there is none."""
    return next((name for name in reversed(VERSIONS) if name in offered), None)


def offers() -> list[str]:
    """Return the subprotocols that a client offers: none as long as there is only version 1.

    The oldest version is the first of them, because docker-exec-websocket-server answers with the first.
    """
    return list(VERSIONS) if len(VERSIONS) > 1 else []
