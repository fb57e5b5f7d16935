"""Finds out whether a silent peer is still there.

An unanswered ping proves nothing while the peer does not read, because the ping waits behind output, and a client that
reads slowly must never be cut off. Nor does it prove anything while nobody reads what the peer sends. So the kernel is
asked as well (``TcpState``): a peer whose kernel acknowledges nothing is gone, one that has closed its window is not.
"""

import time
from collections.abc import Callable
from typing import Any

import gevent

from dockerexec_ws.net.connection_end import EndingKind
from dockerexec_ws.net.tcp import TcpState

_SHORTEST_WAIT = 0.01  # seconds; the event loop's clock may run a little ahead of ours


class Keepalive:
    """Pings a silent peer and finds out when it is gone, by a timer of its own.

    *interval* is the silence, in seconds, after which a ping is sent (0: never). After a ping, any byte has to come
    within *timeout* seconds. While nobody reads what the peer sends, ``watch_unread`` looks every *look_interval*
    seconds whether the peer has hung up. *writing* tells whether bytes of ours, perhaps a ping, wait for the peer's
    window. *ping* sends a ping, *gone* ends the connection: the event loop calls both, so they must not wait. ``stop``
    ends the timer.
    """

    __slots__ = (
        "_gone",
        "_heard",
        "_interval",
        "_look_interval",
        "_ping",
        "_pinged",
        "_stopped",
        "_tcp",
        "_timeout",
        "_timer",
        "_unanswered_output",
        "_unread",
        "_writing",
        "reading",
    )

    def __init__(
        self,
        tcp: TcpState,
        *,
        interval: float,
        timeout: float,
        writing: Callable[[], bool],
        ping: Callable[[], None],
        gone: Callable[[EndingKind], None],
        look_interval: float = 1.0,
    ) -> None:
        self.reading = False
        """Whether a greenlet waits for the peer's bytes. That greenlet sets it."""
        self._tcp = tcp
        self._interval = interval
        self._timeout = timeout
        self._look_interval = look_interval
        self._writing = writing
        self._ping = ping
        self._gone = gone
        self._heard = time.monotonic()
        self._pinged: float | None = None  # when the last ping was sent, unless bytes came since
        self._unanswered_output = False
        self._unread = False  # look whether the peer has hung up, until a greenlet reads again
        self._stopped = False
        self._timer: Any = None  # gevent does not publish its type
        self._schedule()

    def heard(self) -> None:
        """Note that bytes came. Any byte is a sign of life."""
        self._heard = time.monotonic()
        self._unanswered_output = False
        if self._pinged is not None:
            self._pinged = None
            self._schedule()  # the interval may be shorter than the timeout

    def output_sent(self) -> None:
        """Note that a message was sent. A ping may wait behind it in the peer's own buffers."""
        self._unanswered_output = True

    def watch_unread(self) -> None:
        """Look regularly whether the peer has hung up, until a greenlet reads again.

        The end of the connection comes behind the bytes that nobody reads.
        """
        if not self._unread:
            self._unread = True
            self._schedule()

    def expect_hang_up(self) -> None:
        """No longer take a hang-up for the connection's end, because the closing handshake has begun."""
        self._unread = False

    def stop(self) -> None:
        """Stop the timer for good. Idempotent."""
        self._stopped = True
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        waits = []
        if self._interval:
            due = self._heard + self._interval if self._pinged is None else self._pinged + self._timeout
            waits.append(max(due - time.monotonic(), _SHORTEST_WAIT))
        if self._unread:
            waits.append(self._look_interval)
        if waits and not self._stopped:
            # Not a greenlet: each would need several kB for each idle connection.
            self._timer = gevent.get_hub().loop.timer(min(waits))
            self._timer.start(self._look)

    def _look(self) -> None:
        now = time.monotonic()
        self._unread = self._unread and not self.reading
        # Not while a greenlet is merely between two reads: it has to get all bytes that came before the end.
        if self._unread and now - self._heard >= self._look_interval and self._tcp.hung_up():
            self._gone(EndingKind.PEER_VANISHED)
            return
        if self._interval and self._due(now):
            if self._pinged is not None and self._is_gone():
                self._gone(EndingKind.PING_TIMEOUT)
                return
            self._pinged = now
            self._ping()
        self._schedule()

    def _due(self, now: float) -> bool:
        if self._pinged is None:
            return now - self._heard >= self._interval
        return now - self._pinged >= self._timeout

    def _is_gone(self) -> bool:
        if self._tcp.gone(self._timeout):
            return True
        may_come = self._writing() or self._unanswered_output or self._tcp.undelivered()
        return self.reading and not may_come
