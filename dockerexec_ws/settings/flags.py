"""The options on the command line and in the environment, made from the schema with click."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import cloup
from click.core import ParameterSource

from dockerexec_ws.errors import SettingsError
from dockerexec_ws.settings import kinds
from dockerexec_ws.settings.option import ENVIRONMENT_PREFIX, Option
from dockerexec_ws.settings.policy_file import read_policy_file
from dockerexec_ws.settings.schema import OPTIONS, TABLES, ListenSettings, LogSettings
from dockerexec_ws.settings.settings import names_of

CONTEXT_SETTINGS = {
    "auto_envvar_prefix": ENVIRONMENT_PREFIX,
    "help_option_names": ["-h", "--help"],
    "max_content_width": 120,
    "show_default": True,
}

_FILE = click.Path(dir_okay=False, path_type=Path)
_PRECEDENCE = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)


class _Words(click.ParamType[Any]):
    """A string that is split as a shell splits words."""

    name = "words"

    def __init__(self, kind: kinds.Words) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            converted = self._kind.from_text(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if problem := self._kind.problem(converted):
            self.fail(problem, param, ctx)
        return converted


def _click_type(kind: kinds.Kind) -> click.ParamType[Any]:
    match kind:
        case kinds.Many():
            return _click_type(kind.item)
        case kinds.Flag():
            return click.BOOL
        case kinds.Whole():
            return click.IntRange(kind.least, kind.most)
        case kinds.Seconds():
            return click.FloatRange(0, min_open=kind.positive)
        case kinds.OneOf():
            return click.Choice(kind.words, case_sensitive=not kind.any_case)
        case kinds.Words():
            return _Words(kind)
        case kinds.Folder():
            return click.Path(file_okay=False, path_type=Path)
        case kinds.TextPath():
            return click.STRING
        case kinds.File():
            return _FILE
        case _:
            return click.STRING


def parameters() -> list[click.Parameter]:
    """Return the options of the command line, grouped by the tables of the policy file."""
    groups = {table: cloup.OptionGroup(table.capitalize()) for table in TABLES}
    return [*_own_options(), *(_click_option(option, groups[option.table]) for option in OPTIONS)]


def _click_option(option: Option, group: cloup.OptionGroup) -> click.Option:
    details: dict[str, Any] = {"show_default": option.default_text} if option.default_text else {}
    if isinstance(option.kind, kinds.Flag):
        details |= {"is_flag": True}
    else:
        metavar = option.metavar
        if isinstance(option.kind, kinds.Seconds | kinds.Whole):  # click would write "FLOAT RANGE"
            metavar = option.kind.name.upper()
        details |= {"type": _click_type(option.kind), "multiple": option.multiple, "metavar": metavar}
    return cloup.Option([option.flags], group=group, default=option.default, help=option.help, **details)


def _own_options() -> Iterator[click.Option]:
    """Yield the options about the other options. The policy file cannot give them."""
    yield cloup.Option(
        ["--config"],
        type=_FILE,
        is_eager=True,
        callback=_load_policy_file,
        help="Policy file (TOML) with any of the other options. Flags and the environment take precedence over it.",
    )
    yield cloup.Option(["--check-config"], is_flag=True, help="Check the settings and exit.")


def _load_policy_file(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Use the policy file's options as defaults, so that flags and the environment take precedence."""
    if path is not None:
        try:
            ctx.default_map = read_policy_file(path)
        except SettingsError as error:
            raise click.ClickException(str(error)) from error
    return path


def given(ctx: click.Context) -> dict[str, Any]:
    """Return all options by name, with the defaults of those that were not given. Raises click.UsageError."""
    options = dict(ctx.params)
    del options["config"]
    if not any(options[name] for name in ("container", "allow_container", "allow_container_label")):
        raise click.UsageError(
            "Missing option '--container': no container is named. Give one, or let clients choose with "
            "--allow-container or --allow-container-label.",
            ctx,
        )
    engine = [name for name in ("docker_host", "docker_socket") if options[name]]
    sources = [ctx.get_parameter_source(name) for name in engine]
    if len(engine) == 2 and sources[0] is not sources[1]:
        first = next(source for source in _PRECEDENCE if source in sources)
        options[engine[1 - sources.index(first)]] = None
    return options


def in_policy_file(ctx: click.Context) -> Callable[[Option], bool]:
    """Return a function that tells whether the policy file gave an option."""
    return lambda option: ctx.get_parameter_source(option.name) is ParameterSource.DEFAULT_MAP


def app_settings_from_environment() -> tuple[str | None, dict[str, Any]]:
    """Return the container and the options of ``create_app`` that the environment gives. Raises SettingsError."""
    command = cloup.Command("dockerexec-ws", params=parameters(), context_settings=CONTEXT_SETTINGS)
    try:
        options = given(command.make_context("dockerexec-ws", []))
    except click.ClickException as error:
        raise SettingsError(error.format_message()) from error
    if options["path"] is None:
        raise SettingsError(
            f"{ENVIRONMENT_PREFIX}_PATH is missing. Set it, because each worker process would choose its own. "
            "Use a path that nobody can guess, unless the server authenticates its clients."
        )
    if any(options[name] for name in ("certfile", "keyfile", "client_ca")):
        raise SettingsError(
            "certfile, keyfile and client_ca are for the server by itself. Set up TLS in the server that runs this "
            "application."
        )
    unused = {"check_config", *names_of(ListenSettings), *names_of(LogSettings)}
    kept = {name: value for name, value in options.items() if name not in unused}
    return kept.pop("container"), kept
