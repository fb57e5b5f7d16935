"""A running server as its successors see it: by a locked file that outlives it, if it is killed.

The lock goes with the process, whatever ends it; the file stays. So whoever finds a file that nobody has locked knows
that its sessions, whose markers begin with the instance's, have nobody left to end them.
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
"""The environment variable by which the processes of a session are known in their container."""

_SUFFIX = ".instance"


def default_state_dir() -> Path:
    """Return where the files are by default; it has to outlive a restart of the machine, so it is not in /run.

    Raises SettingsError if this user has no home.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/dockerexec-ws/instances")
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "dockerexec-ws/instances"
    except RuntimeError as error:
        raise SettingsError("this user has no home directory for the server's state: name one (--state-dir)") from error


class Instance:
    """One running server, or one that was; made by ``register`` or ``former``.

    The file has the engine's address in its first line and a container in each further one.
    """

    def __init__(self, name: str, path: Path | None = None, fd: int = -1, containers: tuple[str, ...] = ()) -> None:
        self.marker = f"{MARKER_VARIABLE}={name}."
        """How the markers of all its sessions begin."""
        self.containers = containers
        """The containers, by name or id, in which its sessions ran."""
        self._path = path
        self._fd = fd

    @classmethod
    def unregistered(cls) -> Self:
        """Return an instance without a file: what its sessions leave nobody will end."""
        return cls(secrets.token_hex(8))

    @classmethod
    def register(cls, state_dir: Path, engine_address: str, containers: tuple[str, ...]) -> Self:
        """Make this server known in *state_dir*, which is made if need be. Raises SettingsError."""
        name = secrets.token_hex(8)
        path = state_dir / (name + _SUFFIX)
        draft = state_dir / f".{name}"  # nobody may find it before it is locked
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
                f"the state directory {state_dir} cannot be used ({error.strerror}): name one that this user can "
                "write to and that outlives a restart (--state-dir)"
            ) from error
        return cls(name, path, fd, containers)

    @classmethod
    def former(cls, state_dir: Path, engine_address: str) -> Iterator[Self]:
        """Take over, one by one, the instances in *state_dir* that ran on this engine and were not ended in order.

        Each is locked until its ``close``, so that of several servers only one looks after it.
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
            except OSError:  # it lives
                os.close(fd)
                continue
            # Another server may have seen to it, and removed it, since it was opened.
            lines = os.read(fd, 65536).decode(errors="replace").splitlines() if os.fstat(fd).st_nlink else []
            if lines[:1] == [engine_address]:
                yield cls(path.name.removesuffix(_SUFFIX), path, fd, tuple(lines[1:]))
            else:
                os.close(fd)

    def uses(self, container: str) -> None:
        """Note one more container in which sessions run; on the disk before anything runs in it."""
        if self._fd < 0 or container in self.containers:
            return
        try:
            os.write(self._fd, f"{container}\n".encode())
            os.fsync(self._fd)
        except OSError as error:
            logger.warning("what a kill of this server leaves in container %s stays: %s", container, error.strerror)
        self.containers = (*self.containers, container)

    def new_marker(self) -> str:
        """Return a marker for a new session, ``NAME=VALUE``, which nobody can guess."""
        return self.marker + secrets.token_hex(16)

    def close(self, *, done: bool) -> None:
        """Unlock the file; when *done*, nothing is left to be ended and it is removed. Idempotent."""
        if self._fd < 0 or self._path is None:
            return
        if done:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1


def _sync_folder(folder: Path) -> None:
    """Have the folder's entries on the disk: the machine may lose its power next."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
