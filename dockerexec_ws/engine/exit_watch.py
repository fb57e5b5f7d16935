"""Ends the output of execs whose stream the engine never closes, as some engines do that imitate Docker's API.

Docker's engine closes an exec's stream at the latest 2 s after the process's exit. Whether the process has exited, the
engine's events tell for all execs together. As long as they have told of no exec, perhaps because the engine has no
such events or a proxy refuses them, the engine is asked about each exec whose output is silent.
"""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import gevent
from gevent.event import Event
from gevent.pool import Group

from dockerexec_ws.engine.docker import ExecState
from dockerexec_ws.errors import EngineError, ExecNotFoundError

logger = logging.getLogger(__name__)

GRACE = 3.0
"""Seconds of silence after the exit, until the output is taken for complete. They exceed the engine's own 2 s."""

LONG_GRACE = 60.0
"""The same for an engine that has closed a stream before. If it is late, the connection hangs, with output on it."""

ASK_INTERVAL = 1.0
"""Seconds between two questions about the same exec, and of silence before the first."""

MOST_QUESTIONS = 20
"""How many questions about execs there are in a second. With more silent execs, each is asked about less often."""

_FIRST_PAUSE = 1.0  # seconds until the next attempt to get the engine's events
_LONGEST_PAUSE = 60.0


class Watched(Protocol):
    """What the watch needs of an ``Exec``."""

    @property
    def id(self) -> str:
        """The engine's id of it."""

    @property
    def closed_by_engine(self) -> bool:
        """Whether the engine has closed its stream."""

    @property
    def silence(self) -> float:
        """For how many seconds a greenlet has waited for output; 0 while none waits."""

    def state(self) -> ExecState:
        """Ask the engine for the state. Raises EngineError."""

    def end_output(self) -> None:
        """Let what reads the output find its end after what has arrived."""


class ExitWatch:
    """Watches the execs of one engine. *ended_execs* is that of ``exec_events``. Its greenlets run until ``close``."""

    def __init__(self, ended_execs: Callable[[], Iterator[str]]) -> None:
        self._ended_execs = ended_execs
        self._watched: dict[str, Watched] = {}
        self._unsure: dict[str, Watched] = {}  # those to ask about: no event may have told of their exits
        self._exited: dict[str, Watched] = {}
        self._engine_closes = False  # whether the engine has closed a stream
        self._told = False  # whether the events have told of an exec, since they were last subscribed to
        self._doubt = Event()  # set while there may be something to ask
        self._doubt.set()
        self._greenlets = Group()

    def watch(self, process: Watched) -> None:
        """Watch *process*, which must not have been started yet, until ``forget``."""
        self._watched[process.id] = process
        if not self._greenlets:
            self._greenlets.spawn(self._listen)
            self._greenlets.spawn(self._ask)

    def forget(self, process: Watched) -> None:
        """Watch *process* no longer. Idempotent."""
        if process.closed_by_engine:
            self._engine_closes = True
        self._watched.pop(process.id, None)
        self._unsure.pop(process.id, None)
        self._exited.pop(process.id, None)

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._greenlets.kill(block=False)

    def _listen(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                for exec_id in self._ended_execs():
                    if exec_id:
                        pause = _FIRST_PAUSE
                        self._told = True
                        self._note_exit(exec_id)
                    else:
                        self._doubt_all()
            except EngineError as error:
                logger.debug("the engine's events of execs cannot be had: %s", error)
            except Exception:  # nobody would start this greenlet again
                logger.exception("the engine's events of execs cannot be read")
            self._told = False
            self._doubt.set()
            gevent.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _doubt_all(self) -> None:
        self._unsure.update(self._watched)
        self._doubt.set()

    def _ask(self) -> None:
        while True:
            self._doubt.wait()
            begin = time.monotonic()
            if not self._told:
                self._doubt_all()
            for process in list(self._unsure.values()):
                if process.silence < ASK_INTERVAL or process.id not in self._unsure:
                    continue
                try:
                    if process.state().ended:
                        self._note_exit(process.id)
                except ExecNotFoundError:
                    self._note_exit(process.id)
                except EngineError:  # ask again later
                    continue
                finally:
                    gevent.sleep(1 / MOST_QUESTIONS)
                self._unsure.pop(process.id, None)
            if self._told and not self._unsure:
                self._doubt.clear()
            else:
                gevent.sleep(max(begin + ASK_INTERVAL - time.monotonic(), 0))

    def _note_exit(self, exec_id: str) -> None:
        if (process := self._watched.pop(exec_id, None)) is not None:
            self._unsure.pop(exec_id, None)
            self._exited[exec_id] = process
            self._greenlets.spawn(self._end_output, process)

    def _end_output(self, process: Watched) -> None:
        """End the output of a process that has exited, once no more of it comes."""
        if not self._is_silent(process, GRACE):
            return
        # With a container that is gone, even an engine that closes streams leaves one open (moby issue 45120).
        if self._engine_closes and not _is_forgotten(process) and not self._is_silent(process, LONG_GRACE):
            return
        logger.warning("the engine left the output of a command open after its exit, so it was ended")
        process.end_output()

    def _is_silent(self, process: Watched, grace: float) -> bool:
        """Wait until no output has come for *grace* seconds. Return False if the session ends before."""
        left = grace
        while left > 0:
            gevent.sleep(left)
            if process.id not in self._exited:
                return False
            left = grace - process.silence
        return True


def _is_forgotten(process: Watched) -> bool:
    try:
        process.state()
    except ExecNotFoundError:
        return True
    except EngineError:
        pass
    return False
