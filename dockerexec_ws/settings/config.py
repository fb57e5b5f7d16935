"""The policy file (TOML): every option of the command line, in tables."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dockerexec_ws.errors import SettingsError

TABLES: Mapping[str, tuple[str, ...]] = {
    "server": ("host", "port", "path", "page", "handshake_timeout", "certfile", "keyfile", "client_ca", "log_level"),
    "engine": ("docker_host", "docker_socket", "engine_timeout"),
    "containers": ("container", "allow_container", "allow_container_label", "allow_own_container"),
    "sessions": (
        "max_sessions",
        "wrapper_command",
        "max_message_size",
        "output_limit",
        "compress",
        "ping_interval",
        "ping_timeout",
        "idle_timeout",
        "max_duration",
        "max_output",
        "on_disconnect",
        "grace",
        "state_dir",
        "drain_timeout",
    ),
    "access": (
        "allow_unauthenticated",
        "allow_origin",
        "allow_host",
        "trusted_proxy",
        "token_file",
        "jwt_key_file",
        "jwt_issuer",
        "jwt_audience",
        "identity_header",
        "max_sessions_per_identity",
        "max_sessions_per_address",
        "max_starts_per_minute",
    ),
    "requests": (
        "allow_command",
        "allow_tty",
        "allow_user",
        "allow_workdir",
        "allow_env",
        "allow_privileged",
        "read_only",
    ),
    "audit": ("audit_log", "audit_optional"),
}
"""Which options are in which table, by their names in Python."""


def read_config(path: Path, ctx: click.Context) -> dict[str, Any]:
    """Return the options that a policy file gives, by name, each checked as on the command line of *ctx*.

    Raises SettingsError with the full key (``table.key``), or the line where the file is no TOML.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"the policy file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the policy file {path} is no TOML: {error}") from error
    parameters = {parameter.name: parameter for parameter in ctx.command.params}
    options = {}
    for table, keys in tables.items():
        if table not in TABLES:
            raise SettingsError(f"{path}: {table}: there is no such table, only {', '.join(TABLES)}")
        if not isinstance(keys, dict):
            raise SettingsError(f"{path}: {table}: this is a table, [{table}]")
        for key, value in keys.items():
            if key not in TABLES[table]:
                raise SettingsError(f"{path}: {table}.{key}: there is no such key, only {', '.join(TABLES[table])}")
            try:
                _check(value, parameters[key], ctx)
            except click.BadParameter as error:
                raise SettingsError(f"{path}: {table}.{key}: {error.message}") from error
            options[key] = value  # as it is written: click converts it, and words must not be split twice
    return options


def _check(value: Any, parameter: click.Parameter, ctx: click.Context) -> None:
    """Raise click.BadParameter unless *value* can be the parameter's."""
    kind = parameter.type
    if not parameter.multiple:
        _check_one(value, kind, parameter, ctx)
    elif isinstance(value, list):
        for item in value:
            _check_one(item, kind, parameter, ctx)
    else:
        raise click.BadParameter("it has to be a list")


def _check_one(value: Any, kind: click.ParamType[Any], parameter: click.Parameter, ctx: click.Context) -> None:
    # As TOML has types, a number in quotes is a mistake.
    expected: tuple[type, ...] = (str,)
    if isinstance(kind, click.types.BoolParamType):
        expected = (bool,)
    elif isinstance(kind, click.types.IntParamType):
        expected = (int,)
    elif isinstance(kind, click.types.FloatParamType):
        expected = (int, float)
    elif kind.name == "words":
        expected = (str, list)
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise click.BadParameter(f"it has to be {_NAMES[expected]}")
    words = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not all(isinstance(word, str) for word in words):
        raise click.BadParameter("its words have to be strings")
    if any(isinstance(word, str) and "\0" in word for word in words):
        raise click.BadParameter("a NUL cannot be in it")
    kind.convert(value, parameter, ctx)


_NAMES = {
    (str,): "a string",
    (bool,): "true or false",
    (int,): "a whole number",
    (int, float): "a number",
    (str, list): "a string or a list of words",
}
