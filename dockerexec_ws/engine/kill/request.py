"""What the killer is asked for, and its report."""

from gevent.event import AsyncResult

from dockerexec_ws.engine.exec import Exec


class Ending:
    """A request to end all processes that have *marker*, of the exec *process* if there is one."""

    def __init__(self, marker: str, process: Exec | None) -> None:
        self.marker = marker
        self.process = process
        self._report: AsyncResult[bool] = AsyncResult()

    @property
    def reported(self) -> bool:
        """Whether there was a report."""
        return self._report.ready()

    def report(self, *, none_left: bool) -> None:
        """Report whether no process is left. Only the first report counts."""
        if not self.reported:
            self._report.set(none_left)

    def wait(self) -> bool:
        """Wait for the report, and return whether no process is left."""
        return bool(self._report.get())
