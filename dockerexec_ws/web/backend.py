"""What a started application works with: the engine, the killer, the containers, the audit log."""

import contextlib
import logging
from pathlib import Path

import gevent
from gevent.pool import Group

from dockerexec_ws.access.targets import AllowedContainers, FixedContainer, Targets
from dockerexec_ws.engine.client import Engine
from dockerexec_ws.engine.instance import Instance, default_state_dir
from dockerexec_ws.engine.killer import Killer
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.observe.audit import AuditLog
from dockerexec_ws.settings.settings import Settings

logger = logging.getLogger(__name__)


class Backend:
    """Made by connecting to the engine; holds its connections and files until ``close``.

    It also ends what former servers left. Raises EngineUnavailableError, ContainerNotFoundError, SettingsError; nothing
    stays open then.
    """

    def __init__(self, settings: Settings, address: str | None, container_id: str | None) -> None:
        self._settings = settings
        self._tasks = Group()
        self.instance = Instance.unregistered()
        """This server, as its successors will know it."""
        with contextlib.ExitStack() as stack:
            self.engine = Engine(address, timeout=settings.engine_timeout, connections=settings.max_sessions)
            stack.callback(self.engine.close)
            self.audit = AuditLog(settings.audit_log, optional=settings.audit_optional)
            stack.callback(self.audit.close)
            self.killer = Killer(self.engine, grace=settings.grace)
            stack.callback(self._stop_killing)
            self.targets = self._targets(container_id)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Stop ending processes, and close every connection and file. Idempotent."""
        self._stack.close()

    def _stop_killing(self) -> None:
        left = [marker for marker in self.killer.close() if marker.startswith(self.instance.marker)]
        self.instance.close(done=not left)
        self._tasks.kill(block=False)

    def _targets(self, container_id: str | None) -> Targets:
        settings = self._settings
        if not container_id:
            self.instance = self._register(())
            return AllowedContainers(
                self.engine,
                settings.allow_container,
                settings.allow_container_label,
                allow_own=settings.allow_own_container,
            )
        fixed = FixedContainer(
            self.engine, container_id, fresh=bool(self.audit), allow_own=settings.allow_own_container
        )
        self.instance = self._register((container_id, fixed.state.id))
        self._tasks.spawn(self.killer.check, fixed.state.id)
        return fixed

    def _register(self, containers: tuple[str, ...]) -> Instance:
        """Make this server known to its successors, and end what its predecessors left. Raises SettingsError."""
        settings = self._settings
        if settings.on_disconnect == "leave":
            return Instance.unregistered()
        try:
            state_dir = Path(settings.state_dir or default_state_dir())
            instance = Instance.register(state_dir, self.engine.address, containers)
        except SettingsError as error:
            if settings.state_dir is not None:
                raise
            logger.warning("if this server is killed, nobody will end what its sessions leave: %s", error)
            return Instance.unregistered()
        for former in Instance.former(state_dir, self.engine.address):
            logger.warning("a former server was not ended in order: what its sessions left is ended now")
            self._tasks.spawn(self._end_former, former)
        return instance

    def _end_former(self, former: Instance) -> None:
        done = False
        try:
            ending = [gevent.spawn(self.killer.end, container, former.marker) for container in former.containers]
            gevent.joinall(ending)
            done = all(greenlet.value for greenlet in ending)
        finally:
            former.close(done=done)
