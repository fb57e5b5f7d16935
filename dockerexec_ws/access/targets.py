"""Where commands can run: in one container, or in those that the policy names. Each kind of target has a class."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dockerexec_ws.access.patterns import is_literal, matches
from dockerexec_ws.engine.docker import ContainerState, Engine, RunningContainer
from dockerexec_ws.engine.own_container import own_container_id
from dockerexec_ws.errors import ContainerNotFoundError, EngineError, RequestRefusedError, SettingsError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_SHOWN = 64  # characters of a name in an error; as many as an id has


@dataclass(frozen=True, slots=True)
class Target:
    """A container to run a command in. *reference* is the name or id that requests to the engine use.

    *environment* has the container's ``NAME=VALUE`` strings.
    """

    reference: str
    id: str
    name: str
    environment: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A container that a client may choose. *service* is the Compose or Swarm service that it belongs to, or ""."""

    name: str
    service: str = ""


class Targets(Protocol):
    """Finds the target that a client asks for."""

    chosen: bool
    """Whether the client chooses a container, by the part of the URL after the path."""

    def find(self, choice: str, narrowed_to: Sequence[str] | None, tty: bool) -> Target:
        """Return the target that *choice* names ("" if the client named none); *narrowed_to* are patterns of names.

        With *tty*, the target's environment is the present one.

        Raises EngineError, and RequestRefusedError, which is the same for a container that is not allowed and for one
        that does not exist.
        """

    def offered(self, narrowed_to: Sequence[str] | None) -> list[Offer]:
        """Return the running containers that a client may choose, by name.

        If the engine does not list its containers, return those names that the policy or *narrowed_to* spells out.
        """


class FixedContainer:
    """The one container *name*. With *fresh*, each session asks the engine which container has that name now.

    Raises SettingsError, and the errors of ``Engine.container_state``.
    """

    chosen = False

    def __init__(self, engine: Engine, name: str, *, fresh: bool = False, allow_own: bool = False) -> None:
        self._engine = engine
        self._name = name
        self._fresh = fresh
        self.state = engine.container_state(name)
        if not allow_own and self.state.id == own_container_id():
            raise SettingsError(
                "the container is the one that this server runs in. Choose another, or give --allow-own-container."
            )

    def find(self, choice: str, narrowed_to: Sequence[str] | None, tty: bool) -> Target:
        """See Targets."""
        if choice:
            raise _no_container(choice)
        ask = self._fresh or narrowed_to is not None or tty
        state = self._engine.container_state(self._name) if ask else self.state
        if narrowed_to is not None and not matches(state.name, narrowed_to):
            raise RequestRefusedError("container: not allowed")
        return Target(self._name, state.id, state.name, state.environment)

    def offered(self, _: Sequence[str] | None) -> list[Offer]:
        """See Targets."""
        return []


class AllowedContainers:
    """The containers whose name matches one of *names*, or which have one of *labels* (``KEY`` or ``KEY=VALUE``)."""

    chosen = True

    def __init__(self, engine: Engine, names: Sequence[str], labels: Sequence[str], *, allow_own: bool = False) -> None:
        self._engine = engine
        self._names = tuple(names)
        self._labels = [label.partition("=") for label in labels]
        self._own = None if allow_own else own_container_id()

    def find(self, choice: str, narrowed_to: Sequence[str] | None, _: bool) -> Target:
        """See Targets."""
        if not choice and narrowed_to is not None and len(narrowed_to) == 1:
            choice = narrowed_to[0]
        if not choice:
            raise RequestRefusedError("No container was named. Add its name to the URL's path, as in PATH/CONTAINER.")
        if not _NAME.fullmatch(choice):
            raise _no_container(choice)
        try:
            state = self._engine.container_state(choice)
        except ContainerNotFoundError as error:
            raise _no_container(choice) from error
        if not self._allows(state, narrowed_to):
            raise _no_container(choice)
        return Target(state.id, state.id, state.name, state.environment)

    def offered(self, narrowed_to: Sequence[str] | None) -> list[Offer]:
        """See Targets."""
        try:
            running = self._engine.running_containers()
        except EngineError:  # a proxy before the engine may allow the rest, but no list
            return [Offer(name) for name in self._spelt_out(narrowed_to)]
        allowed = [each for each in running if self._allows(each, narrowed_to)]
        return sorted((Offer(each.name, _service(each.labels)) for each in allowed), key=lambda offer: offer.name)

    def _spelt_out(self, narrowed_to: Sequence[str] | None) -> list[str]:
        names = [name for name in self._names if narrowed_to is None or matches(name, narrowed_to)]
        # A label may allow a name that a token has. That is known only when the client asks for it.
        names += [name for name in narrowed_to or () if self._labels or matches(name, self._names)]
        return sorted({name for name in names if is_literal(name)})

    def _allows(self, container: ContainerState | RunningContainer, narrowed_to: Sequence[str] | None) -> bool:
        if container.id == self._own or (narrowed_to is not None and not matches(container.name, narrowed_to)):
            return False
        labels = container.labels
        return matches(container.name, self._names) or any(
            key in labels and (not equals or labels[key] == value) for key, equals, value in self._labels
        )


def _service(labels: Mapping[str, str]) -> str:
    return labels.get("com.docker.compose.service") or labels.get("com.docker.swarm.service.name", "")


def _no_container(choice: str) -> RequestRefusedError:
    return RequestRefusedError(f"No container named {choice[:_SHOWN]!r} is available.")
