"""A running server as later servers see it: a locked file, which stays if the server is killed.

The kernel releases the lock when the process ends, however it ends. A file without a lock therefore means that no
server is left to end the processes of that instance's sessions. Their markers begin with the instance's.
"""

import fcntl
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from dockerexec_ws.errors import SettingsError

logger = logging.getLogger(__name__)

MARKER_VARIABLE = "DOCKEREXEC_WS_SESSION"
"""The environment variable that identifies the processes of a session in their container."""

_SUFFIX = ".instance"


def default_state_dir() -> Path:
    """Return the default folder of the files. It is not in /run, because it must survive a restart of the machine.

    Raises SettingsError if this user has no home directory.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/dockerexec-ws/instances")
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "dockerexec-ws/instances"
    except RuntimeError as error:
        raise SettingsError(
            "the server's state has no default folder, because this user has no home directory. Give a folder "
            "(--state-dir)."
        ) from error


class Instance:
    """A server that runs or did run. Use ``register`` or ``former`` to make one.

    The first line of the file is the engine's address. Each further line is a container.
    """

    def __init__(self, name: str, path: Path | None = None, fd: int = -1, containers: tuple[str, ...] = ()) -> None:
        self.marker = f"{MARKER_VARIABLE}={name}."
        """The beginning of the markers of all its sessions."""
        self.containers = containers
        """The containers, by name or id, in which its sessions ran."""
        self._path = path
        self._fd = fd

    @classmethod
    def unregistered(cls) -> Self:
        """Return an instance without a file. If the server is killed, nothing ends the processes of its sessions."""
        return cls(secrets.token_hex(8))

    @classmethod
    def register(cls, state_dir: Path, engine_address: str, containers: tuple[str, ...]) -> Self:
        """Write this server's file in *state_dir*, which is made if it is missing. Raises SettingsError."""
        name = secrets.token_hex(8)
        path = state_dir / (name + _SUFFIX)
        draft = state_dir / f".{name}"  # so that no other server finds it before it is locked
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(fd, "".join(f"{line}\n" for line in (engine_address, *containers)).encode())
                os.fsync(fd)
                draft.rename(path)
                _sync_folder(state_dir)
            except BaseException:
                os.close(fd)
                draft.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise SettingsError(
                f"the state directory {state_dir} cannot be used ({error.strerror}). Give one that this user can write "
                "to and that survives a restart (--state-dir)."
            ) from error
        return cls(name, path, fd, containers)

    @classmethod
    def former(cls, state_dir: Path, engine_address: str) -> Iterator[Self]:
        """Take over, one by one, the instances in *state_dir* that used this engine and were not shut down properly.

        Each is locked until its ``close``, so that only one of several servers takes it over.
        """
        for path in sorted(state_dir.glob(f"*{_SUFFIX}")):
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except OSError as error:
                if not isinstance(error, FileNotFoundError):
                    logger.warning("a former server's file %s cannot be read: %s", path, error.strerror)
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # its server is running
                os.close(fd)
                continue
            # Another server may have dealt with it, and removed it, since it was opened.
            lines = _read_all(fd).decode(errors="replace").splitlines() if os.fstat(fd).st_nlink else []
            if lines[:1] == [engine_address]:
                yield cls(path.name.removesuffix(_SUFFIX), path, fd, tuple(lines[1:]))
            else:
                os.close(fd)

    def uses(self, container: str) -> None:
        """Note one more container in which sessions run. It is on the disk before anything runs in the container."""
        if self._fd < 0 or container in self.containers:
            return
        try:
            os.write(self._fd, f"{container}\n".encode())
            os.fsync(self._fd)
        except OSError as error:
            logger.warning(
                "container %s cannot be noted in the state directory (%s). If this server is killed, nothing ends the "
                "processes of its sessions there.",
                container,
                error.strerror,
            )
        self.containers = (*self.containers, container)

    def new_marker(self) -> str:
        """Return a marker for a new session, ``NAME=VALUE``. Nobody can guess it."""
        return self.marker + secrets.token_hex(16)

    def close(self, *, done: bool) -> None:
        """Unlock the file. If *done*, which means that no process is left, also remove it. Idempotent."""
        if self._fd < 0 or self._path is None:
            return
        if done:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1


def _sync_folder(folder: Path) -> None:
    """Write the folder's entries to the disk, in case the machine loses its power."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read_all(fd: int) -> bytes:
    chunks = []
    while chunk := os.read(fd, 65536):
        chunks.append(chunk)
    return b"".join(chunks)
