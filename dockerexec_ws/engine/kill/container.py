"""Ending the processes of sessions in one container: what is tried, when, and when to give up."""

import contextlib
import enum
import logging
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Group

from dockerexec_ws.engine.docker import ContainerState, Engine, ExecState
from dockerexec_ws.engine.exec import Exec
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.engine.kill.request import Ending
from dockerexec_ws.engine.kill.script import KillScript
from dockerexec_ws.engine.kill.timeouts import Waits
from dockerexec_ws.errors import ContainerNotFoundError, EngineError, EngineUnavailableError, NoShellError

logger = logging.getLogger(__name__)

RUNS = 6
"""How many attempts run at once in a container. Each takes time of the engine or of this machine."""


class Outcome(enum.Enum):
    """What an attempt came to."""

    DONE = "no process is left"
    WAIT = "a process may be about to start"
    PAUSED = "the container is paused: nothing can end in it, nor start"
    FAILED = "another attempt may succeed"
    HOPELESS = "no further attempt can succeed"


class ContainerEndings:
    """The endings in one container. Those that come at the same moment form a batch, which is ended together.

    *name* is the container's name or id. *hand_over* takes the id of another container and an ending that belongs
    there. *count_failures* is called with the number of endings that are reported as failed.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        waits: Waits,
        *,
        hand_over: Callable[[str, Ending], None],
        count_failures: Callable[[int], None],
    ) -> None:
        self._engine = engine
        self._name = name
        self._waits = waits
        self._hand_over = hand_over
        self._count_failures = count_failures
        self._hopeful: set[Ending] = set()  # those that a greenlet still works on, even after a report
        self._gathering: list[Ending] = []  # the next batch
        self._batches = 0  # how many are being ended
        self._runs = BoundedSemaphore(RUNS)
        self._greenlets = Group()

    def add(self, ending: Ending) -> None:
        """Begin to end what *ending* asks for. It gets its report later."""
        self._hopeful.add(ending)
        self._gathering.append(ending)
        if len(self._gathering) == 1:
            self._greenlets.spawn(self._run)

    @property
    def unfinished(self) -> list[str]:
        """The markers of the endings for which there is still hope."""
        return [ending.marker for ending in self._hopeful]

    def close(self) -> None:
        """Stop trying."""
        self._greenlets.kill(block=False)
        for ending in self._hopeful:
            ending.report(none_left=False)

    def _run(self) -> None:
        gevent.sleep(self._waits.gather_more if self._batches else self._waits.gather)
        with self._runs:  # until an attempt is possible, the batch grows
            batch, self._gathering = self._gathering, []
        self._batches += 1
        try:
            self._end(batch)
        finally:
            self._batches -= 1
            for ending in batch:
                ending.report(none_left=False)

    def _end(self, batch: list[Ending]) -> None:
        """Try until *batch* is empty, or there is no hope."""
        waits = self._waits
        begin, next_look, next_retry = time.monotonic(), waits.first_look, waits.first_retry
        while True:
            outcome, reason = self._attempt(batch, begin + waits.start)
            match outcome:
                case Outcome.DONE:
                    break
                case Outcome.WAIT:
                    gevent.sleep(next_look)
                    next_look *= 2
                    continue
                case Outcome.PAUSED:
                    gevent.sleep(waits.pause_poll)
                case Outcome.FAILED:
                    self._report_failure(batch, reason)
                    gevent.sleep(next_retry)
                    next_retry = min(2 * next_retry, waits.last_retry)
                case Outcome.HOPELESS:
                    self._report_failure(batch, reason)
                    self._hopeful.difference_update(batch)
                    return
            # Give starts their time again, because the engine may have been told of one right before.
            begin, next_look = time.monotonic(), waits.first_look
        if next_retry > waits.first_retry:
            logger.warning("the processes that were left in container %s have been ended now", self._name)

    def _report_failure(self, batch: Sequence[Ending], reason: str) -> None:
        """Let nobody wait any longer, and log why."""
        waiting = [ending for ending in batch if not ending.reported]
        if waiting:
            self._count_failures(len(waiting))
            logger.error(
                "processes of %d ended sessions may be left in container %s: %s", len(waiting), self._name, reason
            )
        for ending in waiting:
            ending.report(none_left=False)

    def _attempt(self, batch: list[Ending], start_deadline: float) -> tuple[Outcome, str]:
        """Make one attempt to end *batch*. Takes from it what is done; returns the outcome for the rest and its reason.

        After *start_deadline*, nothing is expected to start any longer.
        """
        try:
            with self._runs:
                return self._end_batch(batch, last=time.monotonic() > start_deadline)
        except NoShellError as error:
            return Outcome.HOPELESS, str(error)
        except EngineError as error:
            return Outcome.FAILED, str(error)
        except Exception as error:  # try again after a fault of our own, too
            logger.exception("ending processes in container %s failed", self._name)
            return Outcome.FAILED, str(error)

    def _end_batch(self, batch: list[Ending], *, last: bool) -> tuple[Outcome, str]:
        container = self._state(self._name)
        if container.paused:
            return Outcome.PAUSED, ""
        seen: AbstractSet[str] = set()
        try:
            left, seen = self._end_found(container, batch)
            failure = f"{left} processes do not end" if left else ""
        except NoShellError:
            raise
        except EngineError as error:
            failure = str(error)
        if failure:
            now = self._state_if_known(container.id) if container.pid else None
            if now is None or (now.pid and not now.paused):
                return Outcome.FAILED, failure
            if now.paused:
                return Outcome.PAUSED, ""
            container = now  # it has stopped meanwhile, so no process is left in it
        outcomes = set()
        for ending in list(batch):
            outcome = self._settle(ending, container, was_seen=ending.marker in seen, last=last)
            outcomes.add(outcome)
            if outcome is Outcome.DONE:
                batch.remove(ending)
        if Outcome.HOPELESS in outcomes:
            return Outcome.HOPELESS, "the engine says that they run, but they cannot be found"
        return (Outcome.WAIT if batch else Outcome.DONE), ""

    def _end_found(self, container: ContainerState, batch: Sequence[Ending]) -> tuple[int, AbstractSet[str]]:
        """End all processes that can be found.

        Returns how many are left, and the markers of the endings whose processes need not be looked for again.
        """
        markers = [ending.marker for ending in batch]
        grace, patience = self._waits.grace, self._waits.patience
        host = HostProcesses.of(container)
        if host is not None:
            with contextlib.suppress(PermissionError):  # then from within the container
                first: dict[str, int] = {}

                def roots(seen: AbstractSet[str]) -> list[int]:
                    first.update(_first_pids(batch, seen, container.id))
                    return list(first.values())

                left, seen = host.end(markers, roots, grace=grace, patience=patience)
                return left, seen | first.keys()
        if not container.pid:
            return 0, set()
        return KillScript(self._engine, container.id, markers, grace=grace, patience=patience).run()

    def _settle(self, ending: Ending, container: ContainerState, *, was_seen: bool, last: bool) -> Outcome:
        """Find out about *ending* when no process with its marker is left. DONE if nothing more is to be done here.

        *was_seen* tells whether there were any.
        """
        process = ending.process
        if was_seen or process is None:
            # A server that was killed may have told the engine to start a process only just before.
            if not was_seen and container.pid and not last:
                return Outcome.WAIT
            return self._ended(ending)
        state = _state_of(process)
        if state is None or state.ended:
            return self._ended(ending)
        if state.running and state.container_id != container.id:
            # The container has been given another name, or its name has been given to another container.
            self._hopeful.discard(ending)
            self._hand_over(state.container_id, ending)
            return Outcome.DONE
        if last and state.running and state.pid and self._has_ended(container, state.pid):
            return self._ended(ending)
        if not container.pid or (last and not (state.running and state.pid)):
            if process.start_unanswered or (container.pid and state.running):  # it may start at any time
                ending.report(none_left=True)
                self._greenlets.spawn(self._await_start, ending, process)
                return Outcome.DONE
            return self._ended(ending)
        return Outcome.HOPELESS if last else Outcome.WAIT

    def _has_ended(self, container: ContainerState, pid: int) -> bool:
        """Whether an exec's first process has ended although the engine says that it runs.

        The engine can be late, because the unread output of one exec delays the exit codes of all others.
        """
        with contextlib.suppress(EngineError):
            pids = self._engine.pids(container.id)
            return container.pid in pids and pid not in pids  # else they are not the numbers that we know
        return False

    def _ended(self, ending: Ending) -> Outcome:
        ending.report(none_left=True)
        self._hopeful.discard(ending)
        return Outcome.DONE

    def _await_start(self, ending: Ending, process: Exec) -> None:
        """Wait until the engine starts what it was told to start long ago, and end that."""
        deadline = time.monotonic() + self._waits.late_start
        delay = self._waits.first_retry
        while time.monotonic() < deadline:
            gevent.sleep(delay)
            delay = min(2 * delay, self._waits.last_retry)
            try:
                state = process.state()
            except EngineUnavailableError:
                continue
            except EngineError:  # the engine has forgotten the exec
                break
            if state.ended:
                break
            if state.running and state.pid:
                logger.warning("the engine has started a command after the end of its session; it is ended now")
                process.start_unanswered = False
                self._hopeful.discard(ending)
                self._hand_over(state.container_id, ending)
                return
        self._hopeful.discard(ending)

    def _state(self, name: str) -> ContainerState:
        try:
            return self._engine.container_state(name)
        except ContainerNotFoundError:  # it is gone, or has another name now
            return ContainerState(id="")

    def _state_if_known(self, container_id: str) -> ContainerState | None:
        with contextlib.suppress(EngineError):
            return self._state(container_id)
        return None


def _state_of(process: Exec) -> ExecState | None:
    """Return the state of an exec none of whose processes was found; None if the engine has forgotten it."""
    process.close()  # as long as output is unread, the engine may not know that the exec has ended
    try:
        return process.state()
    except EngineUnavailableError:
        raise
    except EngineError:  # the container is gone, or the engine has restarted
        return None


def _first_pids(batch: Sequence[Ending], seen: AbstractSet[str], container_id: str) -> dict[str, int]:
    """Return the pids of the execs' first processes, by the engine's word, for the markers that were not *seen*."""
    pids = {}
    for ending in batch:
        if ending.process is not None and ending.marker not in seen:
            with contextlib.suppress(EngineError):
                state = ending.process.state()
                if state.running and state.pid and state.container_id == container_id:
                    pids[ending.marker] = state.pid
    return pids
