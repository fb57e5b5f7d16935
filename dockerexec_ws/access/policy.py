"""What clients may ask for: the server's policy, and what a client's credentials narrow it to."""

import dataclasses
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.errors import RequestRefusedError

Command = str | Sequence[str]
"""A pattern for a command's first word, with any words after it; or all words of a command."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which requests are allowed. Patterns are those of a shell (``*``, ``?``, ``[...]``) and are case-sensitive.

    An empty ``users``, ``workdirs`` or ``environment`` (names of variables) allows none.
    """

    commands: Sequence[Command] = ("*",)
    tty: bool = True
    users: Sequence[str] = ()
    workdirs: Sequence[str] = ()
    environment: Sequence[str] = ()
    privileged: bool = False

    def check(self, request: ExecRequest) -> None:
        """Raise RequestRefusedError, which names the parameter, if *request* is not allowed."""
        if not request.argv:
            raise RequestRefusedError("no command was given: add a query parameter command=... for each word of it")
        names = {variable.partition("=")[0] for variable in request.environment}
        refused = {
            "command": not any(_allows(command, request.argv) for command in self.commands),
            "tty": request.tty and not self.tty,
            "user": request.user and not matches(request.user, self.users),
            "workdir": request.workdir and not matches(request.workdir, self.workdirs),
            "env": not all(matches(name, self.environment) for name in names),
            "privileged": request.privileged and not self.privileged,
        }
        for parameter, is_refused in refused.items():
            if is_refused:
                raise RequestRefusedError(f"{parameter}: not allowed")


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
        allowed = any(_allows(command, narrowing.command) for command in policy.commands)
        return [list(narrowing.command)] if allowed else [], False
    patterns = [command for command in policy.commands if isinstance(command, str)]
    listed = [
        [command] if isinstance(command, str) else list(command)
        for command in policy.commands
        if not isinstance(command, str) or is_literal(command)
    ]
    return listed, bool(patterns)


def is_literal(pattern: str) -> bool:
    """Whether a pattern matches only itself."""
    return not any(character in pattern for character in "*?[")


def _allows(command: Command, argv: Sequence[str]) -> bool:
    return fnmatchcase(argv[0], command) if isinstance(command, str) else tuple(command) == tuple(argv)


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Whether one of *patterns*, as in a shell, matches *value*."""
    return any(fnmatchcase(value, pattern) for pattern in patterns)
