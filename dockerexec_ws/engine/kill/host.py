"""Ending processes from outside their container, where this process may: as root, on the engine's own machine.

It needs nothing in the image, sees every user's processes at once, and knows an exec's first process by the engine's
word even if that has cleared its environment. Each signal goes through a pidfd, so that no other process that got the
number meanwhile is hit.
"""

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import gevent

from dockerexec_ws.engine.client import ContainerState
from dockerexec_ws.errors import EngineError

PASS_INTERVAL = 0.05
"""Seconds between two looks at what is left."""

_PROC = "/proc"
_PAGE = 65536
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # which says nothing of the processes


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    session: int  # as setsid makes it
    started: int  # clock ticks since the machine's start
    threads_only: bool  # its first thread has ended, others go on


class HostProcesses:
    """The processes of a container, by their numbers on this machine; made by ``of``."""

    def __init__(self, container: ContainerState) -> None:
        self._seen: set[str] = set()
        self._container_id = container.id
        self._first_pid = container.pid  # which is never ours to end
        self._roots: set[tuple[int, int]] = set()  # processes to be ended, by number and start, unmarked as they are
        self._sessions: set[int] = set()  # whose members are to be ended

    @classmethod
    def of(cls, container: ContainerState) -> "HostProcesses | None":
        """Return the container's processes if they are this machine's and this process may look into them.

        Raises EngineError if it cannot tell now.
        """
        try:
            # The engine's number may be another process's here, when its machine, or its view of pids, is another one;
            # within the container itself any process would do.
            within = container.id.encode() in _read_file("self", "cgroup")
            if os.geteuid() == 0 and not within and _is_in(container.pid, container.id):
                _read_file(container.pid, "environ")
                return cls(container)
        except OSError as error:
            if error.errno in _USED_UP:
                raise EngineError(f"its processes cannot be looked for: {error.strerror}") from error
        return None

    def end(
        self, markers: Sequence[str], roots: Callable[[set[str]], Sequence[int]], *, grace: float, patience: float
    ) -> tuple[int, set[str]]:
        """End the processes whose environment has one of *markers*, and all that comes from them.

        *markers* are ``NAME=VALUE``, or how that begins. *roots* gets those that were seen and returns the pids of more
        processes to end. *grace* is the seconds between SIGHUP and SIGKILL, *patience* those after that.

        Returns how many processes are left, and those of the markers that were seen. Raises PermissionError, and
        EngineError if it cannot be done now.
        """
        try:
            return self._end(markers, roots, grace=grace, patience=patience)
        except PermissionError:
            raise
        except OSError as error:  # no descriptors are left, say
            raise EngineError(f"its processes cannot be ended: {error.strerror}") from error

    def _end(
        self, markers: Sequence[str], roots: Callable[[set[str]], Sequence[int]], *, grace: float, patience: float
    ) -> tuple[int, set[str]]:
        prefixes = {marker: b"\0" + marker.encode() for marker in markers}
        self._find(prefixes)
        for pid in roots(self._seen):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                if (process := _read(pid)) is not None:
                    self._roots.add((pid, process.started))
        hung_up: set[tuple[int, int]] = set()
        begin = time.monotonic()
        # Twice, since a process that forks and ends all the time can slip through one look.
        while found := self._find(prefixes) or self._find(prefixes):
            waited = time.monotonic() - begin
            if waited > grace + patience:
                break
            if waited >= grace and (hung_up or not grace):  # however long the look took, SIGHUP comes first
                # All of them are stopped before one can answer the end of another with a new one.
                for number in (signal.SIGSTOP, signal.SIGKILL):
                    for pid, process in found.items():
                        _send(pid, process, number)
            else:
                for pid, process in found.items():
                    if (pid, process.started) not in hung_up:
                        hung_up.add((pid, process.started))
                        _send(pid, process, signal.SIGHUP)
                        _send(pid, process, signal.SIGCONT)
            gevent.sleep(PASS_INTERVAL)
        return len(found), self._seen

    def _find(self, prefixes: Mapping[str, bytes]) -> dict[int, _Process]:
        # In a thread: a machine may have thousands of processes, and a look at each is a system call or three.
        found = gevent.get_hub().threadpool.apply(self._try_to_look, (prefixes,))
        if isinstance(found, OSError):
            raise found
        return found

    def _try_to_look(self, prefixes: Mapping[str, bytes]) -> dict[int, _Process] | OSError:
        try:
            return self._look(prefixes)
        except OSError as error:  # raised where it is dealt with: the pool would log a traceback
            return error

    def _look(self, prefixes: Mapping[str, bytes]) -> dict[int, _Process]:
        processes: dict[int, _Process] = {}
        found: dict[int, _Process] = {}
        for name in os.listdir(_PROC):
            if not name.isdigit():
                continue
            pid = int(name)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                process = _read(pid)
                if process is None or pid == self._first_pid:
                    continue
                processes[pid] = process
                if _is_in(pid, self._container_id):
                    marked = self._is_marked(_environment(pid, process), prefixes)
                    if marked or (pid, process.started) in self._roots:
                        found[pid] = process
        if not found and not self._sessions:
            return found
        before = -1
        while len(found) > before:
            before = len(found)
            self._sessions.update(process.session for process in found.values() if process.session)
            for pid, process in processes.items():
                parent = found.get(process.parent)
                is_child = parent is not None and parent.started <= process.started  # else the number was another's
                if pid not in found and (is_child or process.session in self._sessions):
                    found[pid] = process
        # A session's number is free again when it has no members; who gets it then is not ours.
        self._sessions.intersection_update(process.session for process in processes.values())
        return found

    def _is_marked(self, environment: bytes, prefixes: Mapping[str, bytes]) -> bool:
        # Not by splitting it: it may have a million variables.
        markers = [marker for marker, prefix in prefixes.items() if prefix in environment]
        self._seen.update(markers)
        return bool(markers)


def _is_in(pid: int, container_id: str) -> bool:
    """Whether a process is in a container, by its control group; unlike its namespaces, everybody may see that."""
    return container_id.encode() in _read_file(pid, "cgroup")


def _read(pid: int) -> _Process | None:
    """Read what is to be known of a process; None if it is a zombie. Raises OSError when it is gone."""
    fields = _read_file(pid, "stat").rpartition(b")")[2].split()  # from the third on, proc(5)
    is_zombie = fields[0] in (b"Z", b"X")
    if is_zombie and int(fields[17]) <= 1:
        return None
    return _Process(parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]), threads_only=is_zombie)


def _environment(pid: int, process: _Process) -> bytes:
    """Return a process's environment, with a NUL before each variable."""
    if not process.threads_only:
        return b"\0" + _read_file(pid, "environ")
    environment = b""
    for thread in os.listdir(f"{_PROC}/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            environment += b"\0" + _read_file(pid, f"task/{thread}/environ")
    return environment


def _read_file(pid: int | str, name: str) -> bytes:
    # With as few system calls as can be: there are thousands of files to be read, again and again.
    fd = os.open(f"{_PROC}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = piece = os.read(fd, _PAGE)
        while len(piece) == _PAGE:
            piece = os.read(fd, _PAGE)
            data += piece
        return data
    finally:
        os.close(fd)


def _send(pid: int, process: _Process, number: int) -> None:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        descriptor = os.pidfd_open(pid)
        try:
            now = _read(pid)
            if now is not None and now.started == process.started:  # not another one that has the number by now
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
