"""Flow control of a session: when messages 100 and 101 are due, and when a client's 101 counts.

The client of docker-exec-websocket-server has two habits (read in its source, and tried):

- It stops when more than 8 MiB of its stdin are outstanding, the code byte of each message included. Only a 100 makes
  it go on. So that it never stops while no 100 is due, the stdin that may be pending without a 101 and the stdin that
  may be taken without a 100 must together stay well below 8 MiB, even if each byte of stdin comes with a code byte of
  its own.
- While its stdin is held back, by our 101 or by itself, it holds back its own 100, too. So its 101 does not hold back
  our output while our 101 holds back its stdin. Otherwise both sides would wait forever.
"""

PAUSE_ABOVE = 2 * 1024 * 1024
RESUME_BELOW = 1024 * 1024
RESUME_EVERY = 1024 * 1024


class FlowControl:
    """The state of both directions of one session; sizes are in bytes."""

    def __init__(self) -> None:
        self.stdin_pending = 0  # received, not yet taken by the engine
        self.stdin_stalled = False  # a 101 was sent, and no 100 since
        self._taken = 0  # by the engine since the last 100
        self._peer_paused = False

    def stdin_received(self, size: int) -> bool:
        """Count stdin that the client sent. Return whether a 101 is due now."""
        self.stdin_pending += size
        if self.stdin_stalled or self.stdin_pending <= PAUSE_ABOVE:
            return False
        self.stdin_stalled = True
        return True

    def stdin_taken(self, size: int) -> bool:
        """Count stdin that the engine took. Return whether a 100 is due now."""
        self.stdin_pending -= size
        self._taken += size
        due = self.stdin_pending <= RESUME_BELOW if self.stdin_stalled else self._taken >= RESUME_EVERY
        if due:
            self.stdin_stalled = False
            self._taken = 0
        return due

    def peer_paused(self) -> None:
        """Note a 101 of the client. They are not counted: the next 100 lifts any number of them."""
        self._peer_paused = True

    def peer_resumed(self) -> None:
        """Note a 100 of the client."""
        self._peer_paused = False

    @property
    def output_held(self) -> bool:
        """Whether messages 1, 2 and 200 have to wait."""
        return self._peer_paused and not self.stdin_stalled
