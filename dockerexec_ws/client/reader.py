"""The thread that reads a connection all the time, so that pings are answered and the end is noticed.

It goes on while nobody asks for output: the server is told to pause instead of not being read from.
"""

import logging
import threading
import time
import weakref

from dockerexec_ws.client.connection import Connection
from dockerexec_ws.client.progress import Progress

logger = logging.getLogger(__name__)

_READ_SIZE = 256 * 1024
_LOOK = 1.0  # seconds between two looks whether the session is still anybody's


class Reader:
    """Reads *connection* until its end, and brings *progress* up to date.

    After *ping_interval* seconds of silence it sends a ping. The server counts as gone after as many more, or after
    *close_timeout* seconds of silence once the session is over.
    """

    def __init__(
        self, connection: Connection, progress: Progress, *, ping_interval: float, close_timeout: float
    ) -> None:
        self._connection = connection
        self._progress = progress
        self._ping_interval = ping_interval
        self._close_timeout = close_timeout
        self._thread = threading.Thread(target=self._run, name="dockerexec-ws session", daemon=True)
        self._owner: weakref.ref[object] | None = None
        self._orphaned: list[weakref.ref[object]] = []

    def belongs_to(self, owner: object) -> None:
        """End the connection soon after *owner* has been collected, if nothing else does. The last owner counts.

        A second Ctrl-C can interrupt everything that cleans up, finalizers included. It cannot interrupt this, because
        no Python code runs when *owner* is collected.
        """
        self._owner = weakref.ref(owner, self._orphaned.append)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError if there can be no more threads."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the connection is gone, for at most *timeout* seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        connection = self._connection
        try:
            self._take_events()  # what came with the handshake
            buffer = memoryview(bytearray(_READ_SIZE))
            while (size := self._read_some(buffer)) > 0:
                connection.feed(buffer[:size])
                self._take_events()
        except OSError as error:
            logger.debug("the connection broke: %s", error)
        except Exception:
            logger.exception("the client failed")
        finally:
            with connection.lock:
                self._progress.disconnected(connection.close_received, connection.violation)
                connection.changed.notify_all()
            connection.release()

    def _read_some(self, buffer: memoryview) -> int:
        """Wait for bytes; return how many came, 0 if there will be no more."""
        connection, progress = self._connection, self._progress
        pinged = False
        delivered = connection.delivered
        while True:
            with connection.lock:
                while not connection.changed.wait_for(
                    lambda: connection.closing or not progress.output.overfull, _LOOK
                ):
                    if self._orphaned:
                        return 0
                closing = connection.closing or progress.over
            size = self._read_within(buffer, self._close_timeout if closing else self._ping_interval)
            if size is not None:
                return size
            before, delivered = delivered, connection.delivered
            if closing or (pinged and before == delivered):
                return 0
            if not pinged:  # only once: acknowledged pings would count as a sign of life, but come from the kernel
                with connection.lock:
                    connection.queue_ping()
                self._take_events()
            pinged = True

    def _read_within(self, buffer: memoryview, seconds: float) -> int | None:
        """Wait *seconds* for bytes. Return how many came, 0 if there will be no more, None if none came."""
        deadline = time.monotonic() + seconds
        while not self._orphaned:
            left = deadline - time.monotonic()
            size = self._connection.read_into(buffer, min(left, _LOOK))
            if size is not None or left <= _LOOK:
                return size
        return 0

    def _take_events(self) -> None:
        connection, progress = self._connection, self._progress
        with connection.lock:
            for event in connection.events():
                answer = progress.take(event)
                if answer is not None:
                    connection.queue(answer)
            if connection.close_received is not None or connection.violation is not None:
                progress.disconnected(connection.close_received, connection.violation)
            connection.changed.notify_all()
            connection.flush_soon()  # in another thread, because this one must never wait for the server to read
            connection.wait_while_owing()
