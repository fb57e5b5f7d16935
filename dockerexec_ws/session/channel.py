"""What a session needs of the connection to its client."""

from collections.abc import Sequence
from typing import Protocol


class Channel(Protocol):
    """A connection that carries messages both ways; ``WebSocket`` is one.

    One greenlet may receive while any number send. Each message that was sent arrives whole and in order, or the
    channel has ended. It finds out by itself that the client is gone, even while nobody receives.
    """

    @property
    def ending(self) -> object | None:
        """How the channel ended, in words by ``str``; None while it is open."""

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that client and server agreed on, if any."""

    @property
    def message_waits(self) -> bool:
        """Whether ``receive`` has a message already."""

    @property
    def delivered(self) -> int:
        """How many bytes the client's kernel has acknowledged; 0 if that cannot be told."""

    def receive(self) -> bytes | str | None:
        """Wait for a message and return it; None when there will be no more."""

    def send(self, message: bytes) -> None:
        """Send a message and wait until it is on its way. Raises ConnectionClosedError."""

    def send_at_once(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Send one message, of *parts*, if nothing has to be waited for; return whether it was done.

        The memory of *parts* is no longer needed then.
        """

    def send_soon(self, message: bytes) -> None:
        """Send a message, after what is being sent, without waiting. A channel that has ended drops it."""

    def hold_little(self) -> None:
        """Limit how much unsent data the channel holds, so that later output is not delayed behind it."""

    def close(self, code: int = 1000, *, patience: float | None = None) -> None:
        """End the channel with the close code *code*, after all that was sent. Idempotent.

        With *patience*, the client has only that many seconds to take what was sent.
        """

    def abort(self) -> None:
        """End the channel at once, and wake the greenlets that wait to receive or send. Idempotent."""
