"""Ends the processes of sessions. The engine has no way to end an exec (moby issues 9098, 35703).

The processes of each session have a random environment variable, its marker, which their children inherit. If the
server may look into the container's processes itself, it ends them from the engine's machine (HostProcesses). Otherwise
a script ends them in the container (KillScript).

A process escapes if it has cleared its environment, has a session (setsid) of its own, and none of its ancestors in the
exec is left. The script also misses an exec's first process that clears its own environment.
"""

import logging
from weakref import WeakValueDictionary

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.container import ContainerEndings
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.engine.kill.request import Ending
from dockerexec_ws.engine.kill.script import KillScript
from dockerexec_ws.engine.kill.timeouts import Waits
from dockerexec_ws.errors import EngineError, NoShellError, NoUpgradeError

logger = logging.getLogger(__name__)


class Killer:
    """Ends processes of sessions on one engine, in any of its containers."""

    def __init__(self, engine: Engine, waits: Waits) -> None:
        self.failures = 0
        """How many sessions have ended whose processes could not be ended at first."""
        self._engine = engine
        self._waits = waits
        self._closed = False
        # By name or id. The greenlets that end something in a container keep its object.
        self._containers: WeakValueDictionary[str, ContainerEndings] = WeakValueDictionary()

    def end(self, container: str, marker: str, process: Exec | None = None) -> bool:
        """End every process of *container* whose environment has *marker* (``NAME=VALUE``, or how that begins).

        Waits until that is done, also for a paused container to be unpaused. *process* is the exec that has the marker.
        Its stream must stay open until this returns, and may be unread: closing it first would slow the engine down.
        Returns False, and logs why, if processes may be left. The killer then goes on trying as long as there is hope.
        """
        ending = Ending(marker, process)
        self._add(container, ending)
        return ending.wait()

    def check(self, container: str) -> None:
        """Log an error if the processes of sessions in *container* could not be ended, or no session can run.

        The latter is found out only where a script ends the processes, because it would cost an exec elsewhere.
        """
        try:
            state = self._engine.container_state(container)
            if state.pid and not state.paused and HostProcesses.of(state) is None:
                if state.shares_pids:
                    logger.warning(
                        "container %s shares its pids (--pid): processes of sessions that outlive it are not ended, "
                        "unless the server is root on the engine's machine",
                        container,
                    )
                nobodys = Instance.unregistered().new_marker()
                KillScript(self._engine, container, [nobodys], grace=0, patience=0).run()
        except NoShellError as error:
            logger.error("the processes of sessions in container %s cannot be ended: %s", container, error)
        except NoUpgradeError as error:
            logger.error("no session can run: %s", error)
        except EngineError as error:
            logger.debug("whether sessions' processes in container %s can be ended is unknown: %s", container, error)

    @property
    def unfinished(self) -> list[str]:
        """The markers of those whose processes are being ended, or will be tried again."""
        return [marker for container in list(self._containers.values()) for marker in container.unfinished]

    def close(self) -> list[str]:
        """Stop trying. Returns the markers of those whose processes could still have been ended."""
        self._closed = True
        unfinished = self.unfinished
        for container in list(self._containers.values()):
            container.close()
        return unfinished

    def _add(self, name: str, ending: Ending) -> None:
        if self._closed:
            ending.report(none_left=False)
            return
        container = self._containers.get(name)
        if container is None:
            container = self._containers[name] = ContainerEndings(
                self._engine, name, self._waits, hand_over=self._add, count_failures=self._count_failures
            )
        container.add(ending)

    def _count_failures(self, number: int) -> None:
        self.failures += number
