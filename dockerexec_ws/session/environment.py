"""The environment variables of a session, in addition to those of its container."""

from collections.abc import Iterable

from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.settings.schema import SessionSettings

_LOCALE = {"LANG", "LC_ALL", "LC_CTYPE"}


def session_environment(settings: SessionSettings, request: ExecRequest, container: Iterable[str]) -> tuple[str, ...]:
    """Return the variables for the command of *request*. All variables are ``NAME=VALUE``, *container*'s as well.

    The client's replace the operator's, and both replace the defaults for a terminal. Without a locale, shells take
    what a user types in UTF-8 for single bytes.
    """
    variables = _by_name([*settings.session_env, *request.environment])
    if request.tty and settings.term:
        variables.setdefault("TERM", settings.term)
    if request.tty and settings.lang and _LOCALE.isdisjoint(variables) and _LOCALE.isdisjoint(_by_name(container)):
        variables["LANG"] = settings.lang
    return tuple(f"{name}={value}" for name, value in variables.items())


def _by_name(variables: Iterable[str]) -> dict[str, str]:
    # One without a value takes the image's variable of that name away.
    return dict(variable.split("=", 1) for variable in variables if "=" in variable)
