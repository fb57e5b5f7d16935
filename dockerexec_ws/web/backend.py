"""What a started application works with: the engine, the killer, the containers, the sessions and their observers."""

import contextlib
import functools
import logging
from pathlib import Path

import gevent
from gevent.pool import Group

from dockerexec_ws.access.targets import AllowedContainers, FixedContainer, Targets
from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.exec_events import ended_execs
from dockerexec_ws.engine.exit_watch import ExitWatch
from dockerexec_ws.engine.instance import Instance, default_state_dir
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.timeouts import Waits
from dockerexec_ws.engine.run import Run
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.observe.audit import AuditLog
from dockerexec_ws.observe.subscriptions import Events
from dockerexec_ws.session.observers import Observers
from dockerexec_ws.session.registry import Registry
from dockerexec_ws.settings.settings import Settings

logger = logging.getLogger(__name__)


class Backend:
    """Connects to the engine when it is made, and holds the connections and files until ``close``.

    It also ends the processes that former servers left. Raises EngineUnavailableError, ContainerNotFoundError,
    SettingsError; nothing stays open then.
    """

    def __init__(self, settings: Settings, address: str | None, container_id: str | None, events: Events) -> None:
        self._settings = settings
        self._tasks = Group()
        with contextlib.ExitStack() as stack:
            self.engine = Engine(address, timeout=settings.engine_timeout, connections=settings.max_sessions)
            stack.callback(self.engine.close)
            audit = AuditLog(settings.audit_log, optional=settings.audit_optional)
            stack.callback(audit.close)
            self.observers = Observers(
                audit,
                events,
            )
            self.registry = Registry(settings, self.observers)
            stack.callback(self._tasks.kill, block=False)
            self.killer = Killer(self.engine, Waits(grace=settings.grace))
            stack.callback(self.killer.close)
            exit_watch = ExitWatch(lambda: ended_execs(self.engine))
            stack.callback(exit_watch.close)
            self.new_run = functools.partial(Run, self.engine, self.killer, exit_watch)
            self.targets, containers = self._targets(container_id, audited=bool(audit))
            # Last, because nothing may fail once this server has taken over what former servers left.
            self.instance = self._register(stack, containers)
            """This server, as its successors see it."""
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Stop ending processes, and close every connection and file. Idempotent."""
        self._stack.close()

    def _targets(self, container_id: str | None, *, audited: bool) -> tuple[Targets, tuple[str, ...]]:
        """Return where commands can run, and the containers, by name or id, that are known already."""
        settings = self._settings
        if not container_id:
            allowed = AllowedContainers(
                self.engine,
                settings.allow_container,
                settings.allow_container_label,
                allow_own=settings.allow_own_container,
            )
            return allowed, ()
        fixed = FixedContainer(self.engine, container_id, fresh=audited, allow_own=settings.allow_own_container)
        self._tasks.spawn(self.killer.check, fixed.state.id)
        return fixed, (container_id, fixed.state.id)

    def _register(self, stack: contextlib.ExitStack, containers: tuple[str, ...]) -> Instance:
        """Make this server known to its successors, and end the processes that former servers left.

        *stack* releases what was registered or taken over. Raises SettingsError.
        """
        settings = self._settings
        if settings.on_disconnect == "leave":
            return Instance.unregistered()
        try:
            state_dir = Path(settings.state_dir or default_state_dir())
            instance = Instance.register(state_dir, self.engine.address, containers)
        except SettingsError as error:
            if settings.state_dir is not None:
                raise
            logger.warning(
                "if this server is killed, no other server will end the processes of its sessions: %s", error
            )
            return Instance.unregistered()
        stack.callback(self._unregister, instance)
        for former in Instance.former(state_dir, self.engine.address):
            # A greenlet that is killed before its first step runs no `finally`, so the stack releases the file too.
            stack.callback(former.close, done=False)
            logger.warning("a former server was not shut down properly: the processes of its sessions are ended now")
            self._tasks.spawn(self._end_former, former)
        return instance

    def _unregister(self, instance: Instance) -> None:
        left = [marker for marker in self.killer.close() if marker.startswith(instance.marker)]
        instance.close(done=not left)

    def _end_former(self, former: Instance) -> None:
        done = False
        try:
            ending = [gevent.spawn(self.killer.end, container, former.marker) for container in former.containers]
            gevent.joinall(ending)
            done = all(greenlet.value for greenlet in ending)
        finally:
            former.close(done=done)
