"""Ending processes from outside their container. This process must be root, on the engine's own machine.

This way needs nothing in the image and sees the processes of all users at once. It finds an exec's first process even
if that has cleared its environment, because the engine tells its pid. Each signal goes through a pidfd, so that it
cannot hit another process to which the pid was given meanwhile.
"""

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import gevent

from dockerexec_ws.engine.docker import ContainerState
from dockerexec_ws.errors import EngineError

PASS_INTERVAL = 0.05
"""Seconds between two looks for processes that are left."""

_PROC = "/proc"
_PAGE = 65536
_ENDED = (FileNotFoundError, ProcessLookupError)  # a process has ended meanwhile
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # these errors say nothing about the processes


@dataclass(frozen=True, slots=True)
class _Process:
    parent: int
    session: int  # as setsid makes it
    started: int  # clock ticks since the machine's start
    threads_only: bool  # its first thread has ended, others go on


class HostProcesses:
    """The processes of a container, by their pids on this machine. Use ``of`` to make one."""

    def __init__(self, container: ContainerState) -> None:
        self._seen: set[str] = set()
        self._container_id = container.id
        # Some of the machine's own processes may be out of reach even for root.
        self._ignored = _ENDED if container.id else (*_ENDED, PermissionError)
        self._first_pid = container.pid  # never to be ended
        self._roots: set[tuple[int, int]] = set()  # pid and start of processes to end without a marker
        self._sessions: set[int] = set()  # whose members are to be ended

    @classmethod
    def of(cls, container: ContainerState) -> "HostProcesses | None":
        """Return the container's processes if they run on this machine and this process may look into them.

        If the container does not run, return all processes of this machine: those of a container that shares the
        machine's pids (``--pid=host``) may outlive it (moby issue 45120).

        Raises EngineError if that cannot be found out now.
        """
        if not container.pid:
            return cls(ContainerState(id="")) if os.geteuid() == 0 else None
        try:
            # If the engine's machine or pid namespace is another one, its pid may be another process's here. Within the
            # container itself, the check of the control group would accept any process.
            within = container.id.encode() in _read_file("self", "cgroup")
            if os.geteuid() == 0 and not within and _is_in(container.pid, container.id):
                _read_file(container.pid, "environ")
                return cls(container)
        except OSError as error:
            if error.errno in _USED_UP:
                raise EngineError(f"the container's processes cannot be looked for ({error.strerror})") from error
        return None

    def end(
        self, markers: Sequence[str], roots: Callable[[set[str]], Sequence[int]], *, grace: float, patience: float
    ) -> tuple[int, set[str]]:
        """End the processes whose environment has one of *markers*, and all descendants and members of their sessions.

        *markers* are ``NAME=VALUE``, or how that begins. *roots* gets the markers that were seen, and returns the pids
        of more processes to end. *grace* is the seconds between SIGHUP and SIGKILL, *patience* those after that until
        this gives up.

        Returns how many processes are left, and which of the markers any process had. Raises PermissionError, and
        EngineError if it cannot be done now.
        """
        try:
            return self._end(markers, roots, grace=grace, patience=patience)
        except PermissionError:
            raise
        except OSError as error:  # if no descriptors are left, for example
            raise EngineError(f"the container's processes cannot be ended now ({error.strerror})") from error

    def _end(
        self, markers: Sequence[str], roots: Callable[[set[str]], Sequence[int]], *, grace: float, patience: float
    ) -> tuple[int, set[str]]:
        prefixes = {marker: b"\0" + marker.encode() for marker in markers}
        self._find(prefixes)
        # Without a control group to check, a pid from the engine may belong to any process.
        for pid in roots(self._seen) if self._container_id else ():
            with contextlib.suppress(*_ENDED):
                if (process := _read(pid)) is not None:
                    self._roots.add((pid, process.started))
        hung_up: set[tuple[int, int]] = set()
        begin = time.monotonic()
        # Look twice, because a process that forks and ends all the time can slip through one look.
        while found := self._find(prefixes) or self._find(prefixes):
            waited = time.monotonic() - begin
            if waited > grace + patience:
                break
            if waited >= grace and (hung_up or not grace):  # SIGHUP comes first, however long the look took
                # Stop all of them first, so that none can answer the end of another with a new one.
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
        # In a thread, because a machine may have thousands of processes, and each takes up to three system calls.
        found = gevent.get_hub().threadpool.apply(self._try_to_look, (prefixes,))
        if isinstance(found, OSError):
            raise found
        return found

    def _try_to_look(self, prefixes: Mapping[str, bytes]) -> dict[int, _Process] | OSError:
        try:
            return self._look(prefixes)
        except OSError as error:  # the caller raises it, because the pool would log a traceback
            return error

    def _look(self, prefixes: Mapping[str, bytes]) -> dict[int, _Process]:
        processes: dict[int, _Process] = {}
        found: dict[int, _Process] = {}
        for name in os.listdir(_PROC):
            if not name.isdigit():
                continue
            pid = int(name)
            with contextlib.suppress(*self._ignored):
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
            # 0 is the kernel's own threads'. Nor may this process ever end its own session.
            self._sessions.update({process.session for process in found.values()} - {0, os.getsid(0)})
            for pid, process in processes.items():
                parent = found.get(process.parent)
                # A parent that started later has only been given the pid of the real one.
                is_child = parent is not None and parent.started <= process.started
                if pid not in found and (is_child or process.session in self._sessions):
                    found[pid] = process
        # When a session has no members, its number is free, and the next session to get it is not to be ended.
        self._sessions.intersection_update(process.session for process in processes.values())
        return found

    def _is_marked(self, environment: bytes, prefixes: Mapping[str, bytes]) -> bool:
        # Do not split the environment, which may have a million variables.
        markers = [marker for marker, prefix in prefixes.items() if prefix in environment]
        self._seen.update(markers)
        return bool(markers)


def _is_in(pid: int, container_id: str) -> bool:
    """Tell whether a process is in a container by its control group, which any user may read, unlike its namespaces."""
    return container_id.encode() in _read_file(pid, "cgroup")


def _read(pid: int) -> _Process | None:
    """Read about a process from /proc. None if it is a zombie. Raises OSError if it is gone."""
    fields = _read_file(pid, "stat").rpartition(b")")[2].split()  # from field 3 on, see proc(5)
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
        with contextlib.suppress(*_ENDED):
            environment += b"\0" + _read_file(pid, f"task/{thread}/environ")
    return environment


def _read_file(pid: int | str, name: str) -> bytes:
    # Make as few system calls as possible, because thousands of files are read again and again.
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
    with contextlib.suppress(*_ENDED):
        descriptor = os.pidfd_open(pid)
        try:
            now = _read(pid)
            if now is not None and now.started == process.started:  # the pid has not been given to another process
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
