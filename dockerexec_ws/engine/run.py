"""A run: an exec together with its marker, so that it can be terminated."""

from collections.abc import Sequence
from typing import Any

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.exit_watch import ExitWatch
from dockerexec_ws.engine.kill.killer import Killer


class Run:
    """A command in *container* whose processes *killer* can end. The constructor creates the exec ``exec``.

    *exit_watch* ends its output if the engine does not. *marker* is an environment variable, ``NAME=VALUE``, that
    identifies the processes; *options* are those of ``Engine.create_exec``. Raises as ``Exec`` does.
    """

    def __init__(
        self,
        engine: Engine,
        killer: Killer,
        exit_watch: ExitWatch,
        container: str,
        argv: Sequence[str],
        *,
        tty: bool,
        marker: str,
        **options: Any,
    ) -> None:
        self.exec = Exec(engine, container, argv, tty=tty, marker=marker, **options)
        self._killer = killer
        self._exit_watch = exit_watch
        self._container = container
        self._marker = marker
        exit_watch.watch(self.exec)

    def terminate(self) -> bool:
        """End all processes, then close the exec's stream. Returns whether no process is left.

        Waits for the killer's report, for a paused container too. The stream stays open until then: closing it earlier
        would slow the engine down. It closes right after, because unread output of an ended exec delays the exit codes
        of all others in the container (see ``read_output``).
        """
        try:
            return self._killer.end(self._container, self._marker, self.exec)
        finally:
            self.close()

    def close(self) -> None:
        """Close the exec's stream. The processes go on. Idempotent."""
        self._exit_watch.forget(self.exec)
        self.exec.close()
