"""Ends the processes of sessions: the engine has no way to end an exec (moby issues 9098, 35703).

Each session's processes carry a random environment variable, its marker, which their children inherit. Where this
process may look into the container's processes itself, it ends them (HostProcesses); elsewhere a script does it in the
container (KillScript). What escapes is a process that cleared its environment and has no parent of the session left:
reparented and in a session (setsid) of its own; for the script also an exec's first process that clears its own.
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from gevent.pool import Group

from dockerexec_ws.engine.client import ContainerState, Engine, ExecState
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.engine.kill.script import KillScript
from dockerexec_ws.errors import ContainerNotFoundError, EngineError, EngineUnavailableError, NoShellError

logger = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds between SIGHUP and SIGKILL, by default."""

PATIENCE = 10.0
"""Seconds after that in which a process may still be there: it waits for a disk, say."""

GATHER = 0.02
"""Seconds to wait for more sessions that end at the same moment: all of them are then ended together."""

GATHER_MORE = 0.25
"""The same while others are being ended in that container."""

RUNS = 6
"""How many times at once processes are looked for in one container: each takes the engine's or this machine's time."""

START_TIMEOUT = 3.0
"""Seconds in which a process may still appear that the engine has been told to start."""

FIRST_LOOK = 0.05
"""Seconds until it is looked for again; twice as long each time."""

LATE_START = 600.0
"""The same if the engine has not answered when it was told; it may have hung, and go on."""

PAUSE_POLL = 0.5
"""Seconds between questions whether a paused container is paused no longer."""

FIRST_RETRY, LAST_RETRY = 1.0, 30.0
"""Seconds until it is tried again after a failure; twice as long each time, up to the last."""


class _PausedError(EngineError):
    """Nothing can be ended in a paused container, nor started."""


class _EscapedError(EngineError):
    """The engine says that a process runs, and it cannot be found."""


@dataclass(eq=False, slots=True)
class _Ending:
    marker: str
    process: Exec | None
    ended: "AsyncResult[bool]" = field(default_factory=AsyncResult)


class Killer:
    """Ends sessions' processes on one engine; *grace* is the seconds between SIGHUP and SIGKILL."""

    def __init__(self, engine: Engine, *, grace: float = GRACE) -> None:
        self.failures = 0
        """How many sessions had ended whose processes could not be, when that was first tried."""
        self._engine = engine
        self._grace = grace
        self._closed = False
        self._endings: set[_Ending] = set()  # those for which there is hope
        self._batches: dict[str, list[_Ending]] = {}  # by container; those that gather
        # By container, while there are any.
        self._runs: WeakValueDictionary[str, BoundedSemaphore] = WeakValueDictionary()
        self._greenlets = Group()

    def end(self, container: str, marker: str, process: Exec | None = None) -> bool:
        """End every process of *container* whose environment has *marker* (``NAME=VALUE``, or how that begins).

        Waits until it is done, also for a paused container to be unpaused. The stream of *process*, the exec that has
        the marker, has to stay open until this returns, and may be unread: closing it first makes the engine slow.
        Returns False, and logs why, if processes may be left; it goes on trying then as long as there is hope.
        """
        if self._closed:
            return False
        ending = _Ending(marker, process)
        self._endings.add(ending)
        self._add(container, ending)
        return bool(ending.ended.get())

    def check(self, container: str) -> None:
        """Log an error if the processes of sessions in *container* could not be ended."""
        try:
            state = self._engine.container_state(container)
            if state.pid and not state.paused and HostProcesses.of(state) is None:
                nobodys = Instance.unregistered().new_marker()
                KillScript(self._engine, container, [nobodys], grace=0, patience=0).run()
        except NoShellError as error:
            logger.error("the processes of sessions in container %s cannot be ended: %s", container, error)
        except EngineError as error:
            logger.debug("whether sessions' processes in container %s can be ended is not known: %s", container, error)

    def close(self) -> list[str]:
        """Stop trying. Returns the markers of those whose processes could still have been ended."""
        self._closed = True
        self._greenlets.kill(block=False)
        self._let_go(self._endings)
        return [ending.marker for ending in self._endings]

    def _add(self, container: str, ending: _Ending) -> None:
        batch = self._batches.setdefault(container, [])
        batch.append(ending)
        if len(batch) == 1:
            self._greenlets.spawn(self._run, container)

    def _run(self, container: str) -> None:
        runs = self._runs.get(container)
        gevent.sleep(GATHER_MORE if runs else GATHER)
        if runs is None:
            runs = self._runs.setdefault(container, BoundedSemaphore(RUNS))
        with runs:
            batch = self._batches.pop(container)
        try:
            self._end_all(container, batch, runs)
        finally:
            self._let_go(batch)

    def _end_all(self, container: str, batch: list[_Ending], runs: BoundedSemaphore) -> None:
        """End the processes of *batch*, which is empty then; *runs* is held only while there is something done."""
        begin, next_look, next_try = time.monotonic(), FIRST_LOOK, FIRST_RETRY
        while True:
            try:
                with runs:
                    self._end_batch(container, batch, last=time.monotonic() > begin + START_TIMEOUT)
                if not batch:
                    break
                gevent.sleep(next_look)
                next_look *= 2
            except _PausedError:
                gevent.sleep(PAUSE_POLL)
                begin, next_look = time.monotonic(), FIRST_LOOK
            except (NoShellError, _EscapedError) as error:
                self._give_up(container, batch, error)
                self._endings.difference_update(batch)
                return
            except Exception as error:
                if not isinstance(error, EngineError):  # a fault of our own must not be the last word either
                    logger.exception("ending processes in container %s failed", container)
                self._give_up(container, batch, error)
                gevent.sleep(next_try)
                next_try = min(2 * next_try, LAST_RETRY)
                # Anew: the engine may have been told to start something before it was not to be reached.
                begin, next_look = time.monotonic(), FIRST_LOOK
        if next_try > FIRST_RETRY:
            logger.warning("the processes that were left in container %s are ended now", container)

    def _await_start(self, container: str, ending: _Ending, process: Exec) -> None:
        """Wait until the engine runs what it was told to long ago, and end that."""
        deadline = time.monotonic() + LATE_START
        delay = FIRST_RETRY
        while time.monotonic() < deadline:
            gevent.sleep(delay)
            delay = min(2 * delay, LAST_RETRY)
            try:
                state = process.state()
            except EngineUnavailableError:
                continue
            except EngineError:  # it is known no longer
                break
            if state.ended:
                break
            if state.running:
                logger.warning("the engine has started a command whose session is over: it is ended now")
                process.start_unanswered = False
                self._add(container, ending)
                return
        self._endings.discard(ending)

    def _let_go(self, batch: Iterable[_Ending]) -> None:
        for ending in batch:
            if not ending.ended.ready():
                ending.ended.set(False)

    def _give_up(self, container: str, batch: Sequence[_Ending], error: Exception) -> None:
        """Let nobody wait any longer, and say why."""
        waiting = [ending for ending in batch if not ending.ended.ready()]
        if waiting:
            self.failures += len(waiting)
            logger.error(
                "processes of %d ended sessions may be left in container %s: %s", len(waiting), container, error
            )
        self._let_go(batch)

    def _end_batch(self, name: str, batch: list[_Ending], *, last: bool) -> None:
        """End what there is to end in the container *name*, and take from *batch* what is done.

        What stays in it may be about to start; *last* says that this is no longer to be expected. Raises EngineError.
        """
        container = self._container(name)
        seen = self._end_found(container, batch) if container.pid else set()
        escaped = False
        for ending in list(batch):
            if ending.process is None and ending.marker not in seen and container.pid and not last:
                continue  # a server that was killed may just have told the engine to start it
            state = None if ending.marker in seen or ending.process is None else _state_of(ending.process)
            if state is not None and state.running and state.container_id != container.id:
                batch.remove(ending)  # the container has been given another name, or another container this one
                self._add(state.container_id, ending)
            elif state is None or state.ended or not container.pid or (last and not state.running):
                batch.remove(ending)
                ending.ended.set(True)
                if state is not None and not state.ended and ending.process and ending.process.start_unanswered:
                    self._greenlets.spawn(self._await_start, name, ending, ending.process)
                else:
                    self._endings.discard(ending)
            elif last:
                escaped = True
        if escaped:
            raise _EscapedError("the engine says that they run, but they cannot be found")

    def _container(self, name: str) -> ContainerState:
        try:
            container = self._engine.container_state(name)
        except ContainerNotFoundError:  # or it has another name by now
            return ContainerState(id="")
        if container.paused:
            raise _PausedError(f"container {name} is paused")
        return container

    def _end_found(self, container: ContainerState, batch: Sequence[_Ending]) -> set[str]:
        """End the processes that can be found; return the markers that any of them had. Raises EngineError."""
        markers = [ending.marker for ending in batch]
        host = HostProcesses.of(container)
        try:
            if host is None:
                raise PermissionError
            left, seen = host.end(markers, lambda seen: _first_pids(batch, seen), grace=self._grace, patience=PATIENCE)
        except PermissionError:
            try:
                left, seen = KillScript(self._engine, container.id, markers, grace=self._grace, patience=PATIENCE).run()
            except EngineError:
                self._container(container.id)  # if it was paused meanwhile, that is why
                raise
        if left:
            self._container(container.id)
            raise EngineError(f"{left} processes do not end")
        return seen


def _state_of(process: Exec) -> ExecState | None:
    """Return the state of an exec none of whose processes was found, None if the engine knows it no longer."""
    process.close()  # or the engine might not know its end
    try:
        return process.state()
    except EngineUnavailableError:
        raise
    except EngineError:  # its container is gone, or the engine has restarted
        return None


def _first_pids(batch: Sequence[_Ending], seen: set[str]) -> list[int]:
    """Return the engine's word on which processes the execs began with, of which none was found by its marker."""
    pids = []
    for ending in batch:
        if ending.process is not None and ending.marker not in seen:
            with contextlib.suppress(EngineError):
                state = ending.process.state()
                if state.running:
                    pids.append(state.pid)
    return pids
