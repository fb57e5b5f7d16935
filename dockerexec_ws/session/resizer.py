"""Passes the terminal's size on from the client to the process."""

from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.errors import EngineError
from dockerexec_ws.protocol.events import Error
from dockerexec_ws.protocol.versions import Codec
from dockerexec_ws.session.channel import Channel
from dockerexec_ws.session.on_demand_greenlet import OnDemand, Spawn


class Resizer:
    """Sets the last size that the client asked for. An earlier one that still waits is dropped."""

    def __init__(self, channel: Channel, codec: Codec, spawn: Spawn) -> None:
        self._channel = channel
        self._codec = codec
        self._worker = OnDemand(spawn, self._work)
        self._process: Exec | None = None
        self._size: tuple[int, int] | None = None  # rows and columns still to be set

    def start(self, process: Exec) -> None:
        """Resize the terminal of *process*. Call it before all others."""
        self._process = process

    def resize(self, rows: int, columns: int) -> None:
        """Set the size without waiting. The client is told if that fails."""
        self._size = rows, columns
        self._worker.wake()

    def join(self, timeout: float) -> None:
        """Wait until the size is set, for at most *timeout* seconds."""
        self._worker.join(timeout)

    def _work(self) -> None:
        assert self._process is not None  # nosec B101  # for the type checker
        while self._size is not None:
            (rows, columns), self._size = self._size, None
            try:
                self._process.resize(rows, columns)
            except EngineError as error:
                self._channel.send_soon(self._codec.encode(Error(f"cannot resize: {error}")))
