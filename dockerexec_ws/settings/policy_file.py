"""The policy file (TOML): every option of the command line, in tables."""

import tomllib
from pathlib import Path
from typing import Any

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings.schema import OPTIONS, TABLES

_BY_NAME = {option.name: option for option in OPTIONS}


def read_policy_file(path: Path) -> dict[str, Any]:
    """Return the options that a policy file gives, by name. Each is checked, and returned as it is written.

    Raises SettingsError with the full key (``table.key``), or with the line if the file is not TOML.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows writes a byte order mark
    except OSError as error:
        raise SettingsError(f"the policy file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the policy file {path} is not TOML: {error}") from error
    options = {}
    for table, keys in tables.items():
        if table not in TABLES:
            raise SettingsError(f"{path}: {table}: {_unknown_table(table, keys)}")
        if not isinstance(keys, dict):
            raise SettingsError(f"{path}: {table}: this is a table. Write [{table}] and its keys below.")
        for key, value in keys.items():
            if key not in TABLES[table]:
                raise SettingsError(f"{path}: {table}.{key}: {_unknown_key(key, table)}")
            if problem := _problem(key, value):
                raise SettingsError(f"{path}: {table}.{key}: {problem}")
            options[key] = value  # as written: click converts it, and words must not be split twice
    return options


def _unknown_table(name: str, value: Any) -> str:
    if isinstance(value, dict | list):
        return f"no such table exists. Use one of {', '.join(TABLES)}."
    if name in _BY_NAME:
        return f"this key is outside of its table. Write it below [{_BY_NAME[name].table}]."
    return f"this key is outside of every table, and no such key exists. The tables are {', '.join(TABLES)}."


def _unknown_key(key: str, table: str) -> str:
    if key in _BY_NAME:
        return f"this key is in the wrong table. Write it below [{_BY_NAME[key].table}]."
    return f"no such key exists. Use one of {', '.join(TABLES[table])}."


def _problem(key: str, value: Any) -> str | None:
    option = _BY_NAME[key]
    try:
        return option.kind.problem(option.kind.from_text(value))
    except ValueError as error:
        return str(error)
