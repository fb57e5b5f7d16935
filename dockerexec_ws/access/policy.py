"""What clients may ask for: the server's policy, and what a client's credentials narrow it to."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dockerexec_ws.access.patterns import allowed_path, is_literal, matches, matches_user
from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.errors import NotAllowedError, RequestRefusedError
from dockerexec_ws.protocol.terminal import terminal_variables

Command = str | Sequence[str]
"""A pattern for a command's first word, with any words after it; or all words of a command."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which requests are allowed, by patterns (``access.patterns``).

    It protects the container from clients that were let in: each parameter that the engine would obey is checked.

    An empty ``users``, ``workdirs`` or ``environment`` (names of variables) allows none.
    """

    commands: Sequence[Command] = ("*",)
    tty: bool = True
    users: Sequence[str] = ()
    workdirs: Sequence[str] = ()
    environment: Sequence[str] = ()
    privileged: bool = False

    def apply(self, request: ExecRequest) -> ExecRequest:
        """Return *request* with its paths as they were compared.

        Raises RequestRefusedError, which names the parameter; it is a NotAllowedError if the policy could allow that.
        """
        if not request.argv:
            raise RequestRefusedError("no command was given: add a query parameter command=... for each word of it")
        argv = _allowed(request.argv, self.commands)
        workdir = allowed_path(request.workdir, self.workdirs) if request.workdir else ""
        variables = dict(variable.split("=", 1) for variable in request.environment)
        asked = variables.keys() - (terminal_variables(variables) if request.tty else {}).keys()
        refused = {
            "command": argv is None,
            "tty": request.tty and not self.tty,
            "user": request.user and not matches_user(request.user, self.users),
            "workdir": workdir is None,
            "env": not all(matches(name, self.environment) for name in asked),
            "privileged": request.privileged and not self.privileged,
        }
        for parameter, is_refused in refused.items():
            if is_refused:
                raise NotAllowedError(parameter)
        return dataclasses.replace(request, argv=argv or (), workdir=workdir or "")


@dataclass(frozen=True, kw_only=True)
class Narrowing:
    """What a client's credentials allow within the policy. None narrows nothing.

    A client that names no command or user gets *command* and *user*. A client that names others is refused.
    """

    containers: Sequence[str] | None = None
    command: tuple[str, ...] | None = None
    user: str | None = None
    tty: bool | None = None
    deadline: float | None = None
    """The time at which a session has to end, in seconds since 1970."""

    def apply(self, request: ExecRequest) -> ExecRequest:
        """Return *request* with the prescribed command and user.

        Raises RequestRefusedError, which names the parameter.
        """
        if self.command is not None:
            if request.argv not in ((), self.command):
                raise RequestRefusedError("command: not allowed")
            request = dataclasses.replace(request, argv=self.command)
        if self.user is not None:
            if request.user not in ("", self.user):
                raise RequestRefusedError("user: not allowed")
            request = dataclasses.replace(request, user=self.user)
        if self.deadline is not None and self.deadline <= time.time():
            raise RequestRefusedError("deadline: it has passed")
        if self.tty is False and request.tty:
            raise RequestRefusedError("tty: not allowed")
        return request


def offered_commands(policy: Policy, narrowing: Narrowing) -> tuple[list[list[str]], bool]:
    """Return the commands that a client may ask for and that can be listed, and whether it may ask for others.

    A pattern without wildcards is listed as its word, although the client may add more words.
    """
    if narrowing.command is not None:
        allowed = _allowed(narrowing.command, policy.commands) is not None
        return [list(narrowing.command)] if allowed else [], False
    patterns = [command for command in policy.commands if isinstance(command, str)]
    listed = [
        [command] if isinstance(command, str) else list(command)
        for command in policy.commands
        if not isinstance(command, str) or is_literal(command)
    ]
    return listed, bool(patterns)


def allows_shell(policy: Policy, narrowing: Narrowing) -> bool:
    """Whether the client may run ``sh`` with any words."""
    patterns = [command for command in policy.commands if isinstance(command, str)]
    return narrowing.command is None and allowed_path("sh", patterns) is not None


def _allowed(argv: tuple[str, ...], commands: Sequence[Command]) -> tuple[str, ...] | None:
    """Return the words that *argv* may run as, None if no command is for them."""
    patterns = [command for command in commands if isinstance(command, str)]
    first = allowed_path(argv[0], patterns)
    if first is not None:
        return (first, *argv[1:])
    return argv if any(not isinstance(command, str) and tuple(command) == argv for command in commands) else None
