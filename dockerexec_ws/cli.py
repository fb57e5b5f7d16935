"""The command line; also the one place that reads settings, from flags and from the environment."""

import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import gevent
from click.core import ParameterSource

from dockerexec_ws import __version__
from dockerexec_ws.access.bearer import new_token
from dockerexec_ws.access.policy import Command
from dockerexec_ws.errors import DockerExecError, SettingsError
from dockerexec_ws.serve.server import DockerExecServer
from dockerexec_ws.settings.config import TABLES, read_config
from dockerexec_ws.settings.settings import LEAST_OUTPUT_LIMIT, ON_DISCONNECT, Settings

ENVIRONMENT_PREFIX = "DOCKEREXEC_WS"

_DEFAULTS = Settings()
_SECONDS = click.FloatRange(0)
_MORE_THAN_0_SECONDS = click.FloatRange(0, min_open=True)


class _Words(click.ParamType[tuple[str, ...]]):
    """One string that is split as a shell splits words."""

    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if not isinstance(value, str):
            return tuple(value)
        try:
            return tuple(shlex.split(value))
        except ValueError as error:
            self.fail(f"{value!r} cannot be split into words: {error}", param, ctx)


class _Command(click.ParamType[Command]):
    """A pattern for a first word, or all words of a command, split as a shell does."""

    name = "words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Command:
        words = _Words().convert(value, param, ctx)
        if not words:
            self.fail("a command has a word at least", param, ctx)
        return words[0] if isinstance(value, str) and len(words) == 1 else words


def _load_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Have the policy file's options taken where neither a flag nor the environment gives one."""
    if path is not None:
        try:
            ctx.default_map = read_config(path, ctx)
        except SettingsError as error:
            raise click.ClickException(str(error)) from error
    return path


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(
    invoke_without_command=True,
    context_settings={
        "auto_envvar_prefix": ENVIRONMENT_PREFIX,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 120,
        "show_default": True,
    },
    epilog="Each option can also be given in the environment, as DOCKEREXEC_WS_CONTAINER, DOCKEREXEC_WS_MAX_SESSIONS "
    "and so on; a flag goes before that. The engine: flag, then DOCKEREXEC_WS_DOCKER_HOST or "
    "DOCKEREXEC_WS_DOCKER_SOCKET, then DOCKER_HOST, then /var/run/docker.sock.",
)
@click.option(
    "--config",
    type=_FILE,
    is_eager=True,
    callback=_load_config,
    help="The policy file (TOML), which can give all other options; flags and the environment go before it.",
)
@click.option("--check-config", is_flag=True, help="Only check the settings.")
@click.option("--container", metavar="NAME", help="Name or id of the container to run commands in.")
@click.option(
    "--allow-container",
    metavar="PATTERN",
    multiple=True,
    help="Instead: names of containers among which clients choose, by PATH/CONTAINER.",
)
@click.option(
    "--allow-container-label", metavar="KEY[=VALUE]", multiple=True, help="The same, by the containers' labels."
)
@click.option("--allow-own-container", is_flag=True, help="Allow the container as well that the server itself runs in.")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="Port to listen on; 0 takes a free one.")
@click.option("--path", show_default="one that nobody can guess", help="Path of the URL.")
@click.option(
    "--page/--no-page", default=True, help="Whether a browser that opens the URL gets a page with a terminal."
)
@click.option("--certfile", type=_FILE, help="The server's certificate, with its chain (PEM): speak TLS.")
@click.option("--keyfile", type=_FILE, help="Its key (PEM). SIGHUP has both read again.")
@click.option(
    "--client-ca", type=_FILE, help="Authorities (PEM) whose clients' certificates tell by their name who they are."
)
@click.option("--docker-host", metavar="URL", help="The engine, as in DOCKER_HOST (unix:///PATH, tcp://HOST:PORT).")
@click.option("--docker-socket", metavar="PATH", help="The engine, as the path of its unix socket.")
@click.option(
    "--engine-timeout",
    type=_MORE_THAN_0_SECONDS,
    default=_DEFAULTS.engine_timeout,
    help="Seconds within which the engine has to answer each request.",
)
@click.option(
    "--max-sessions", type=click.IntRange(1), default=_DEFAULTS.max_sessions, help="How many sessions at a time."
)
@click.option(
    "--wrapper-command", type=_Words(), default=(), metavar="WORDS", help="Words before each client's command."
)
@click.option(
    "--handshake-timeout",
    type=_MORE_THAN_0_SECONDS,
    default=10.0,
    help="Seconds within which a request's head has to be complete.",
)
@click.option(
    "--max-message-size",
    type=click.IntRange(1),
    default=_DEFAULTS.max_message_size,
    help="Bytes of a client's largest message.",
)
@click.option(
    "--output-limit",
    type=click.IntRange(LEAST_OUTPUT_LIMIT),
    default=_DEFAULTS.output_limit,
    help="Bytes of output held for a client that does not read; beyond that its process waits. At most 256 KiB with a "
    "tty.",
)
@click.option("--compress", is_flag=True, help="Use permessage-deflate with clients that offer it.")
@click.option(
    "--ping-interval",
    type=_SECONDS,
    default=_DEFAULTS.ping_interval,
    help="Seconds of silence before a ping; 0: no pings.",
)
@click.option(
    "--ping-timeout",
    type=_MORE_THAN_0_SECONDS,
    default=_DEFAULTS.ping_timeout,
    help="Seconds of further silence after which the peer counts as dead.",
)
@click.option(
    "--idle-timeout",
    type=_SECONDS,
    default=_DEFAULTS.idle_timeout,
    help="Seconds after which a session ends in which nothing was moved either way; 0: never.",
)
@click.option(
    "--max-duration",
    type=_SECONDS,
    default=_DEFAULTS.max_duration,
    help="Seconds after which a session ends; 0: never.",
)
@click.option(
    "--max-output",
    type=click.IntRange(0),
    default=_DEFAULTS.max_output,
    help="Bytes of output after which a session ends; 0: never.",
)
@click.option(
    "--on-disconnect",
    type=click.Choice(ON_DISCONNECT),
    default=_DEFAULTS.on_disconnect,
    help="What becomes of a session's processes when its client is gone, or the server goes.",
)
@click.option(
    "--grace", type=_SECONDS, default=_DEFAULTS.grace, help="Seconds between a process's SIGHUP and its SIGKILL."
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="/var/lib/dockerexec-ws/instances; if not root, in ~/.local/state",
    help="Directory by which a server that starts knows whether a former one was killed, and ends what its sessions "
    "left.",
)
@click.option(
    "--drain-timeout",
    type=_SECONDS,
    default=_DEFAULTS.drain_timeout,
    help="Seconds in which sessions may end by themselves at SIGTERM.",
)
@click.option(
    "--token-file",
    type=_FILE,
    help="Tokens by which clients tell who they are, IDENTITY:SHA256HEX a line; `dockerexec-ws token` makes them.",
)
@click.option("--jwt-key-file", type=_FILE, help="The key (PEM), or the secret, of signed tokens (JWT).")
@click.option("--jwt-issuer", help="Who has to have issued them.")
@click.option("--jwt-audience", help="For whom they have to be.")
@click.option("--identity-header", metavar="NAME", help="Header in which a trusted proxy tells who a client is.")
@click.option(
    "--trusted-proxy", metavar="CIDR", multiple=True, help="Network of reverse proxies whose forwarded headers count."
)
@click.option(
    "--allow-unauthenticated",
    is_flag=True,
    help="Let in whoever reaches the port, from other machines, too, without knowing who it is.",
)
@click.option(
    "--allow-origin",
    metavar="ORIGIN",
    multiple=True,
    help="Origin of web pages that may connect beside its own; *: any.",
)
@click.option(
    "--allow-host", metavar="NAME", multiple=True, help="Name, beside loopback's, that the server goes by; *: any."
)
@click.option(
    "--max-sessions-per-identity",
    type=click.IntRange(0),
    default=_DEFAULTS.max_sessions_per_identity,
    help="How many sessions at a time one identity may have; 0: --max-sessions.",
)
@click.option(
    "--max-sessions-per-address",
    type=click.IntRange(0),
    default=_DEFAULTS.max_sessions_per_address,
    help="The same for one address.",
)
@click.option(
    "--max-starts-per-minute",
    type=click.IntRange(0),
    default=_DEFAULTS.max_starts_per_minute,
    help="How many sessions an identity, or an address, may start within a minute; 0: any number.",
)
@click.option(
    "--allow-command",
    type=_Command(),
    metavar="WORDS",
    multiple=True,
    default=_DEFAULTS.allow_command,
    help="One word: a pattern of the first word of commands; more: a whole command. Any by default.",
)
@click.option("--allow-tty/--no-allow-tty", default=True, help="Whether a client may have a terminal.")
@click.option("--allow-user", metavar="PATTERN", multiple=True, help="User as whom a client may run commands.")
@click.option("--allow-workdir", metavar="PATTERN", multiple=True, help="Working directory that it may ask for.")
@click.option("--allow-env", metavar="PATTERN", multiple=True, help="Environment variable that it may set.")
@click.option("--allow-privileged", is_flag=True, help="Let a client ask for all privileges.")
@click.option("--read-only", is_flag=True, help="Let clients only look on: stdin is refused.")
@click.option(
    "--audit-log", metavar="FILE", help="Where a line of JSON is kept for each start, refusal and end; -: stderr."
)
@click.option("--audit-optional", is_flag=True, help="Start sessions also when the audit log cannot be written.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="warning",
    help="Least serious messages to log, to stderr.",
)
@click.version_option(__version__, prog_name="dockerexec-ws", allow_from_autoenv=False)
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> None:
    """Serve docker exec over WebSockets: whoever reaches the port, and knows the path, can run commands.

    Prints one line, "listening on ws://HOST:PORT/PATH", when it accepts connections. SIGTERM and SIGINT tell every
    client and end every process; a second one stops at once. SIGHUP has the TLS files read again.
    """
    if ctx.invoked_subcommand is None:
        _serve(_settings(ctx))


@command.command()
@click.argument("identity")
def token(identity: str) -> None:
    """Make a token for IDENTITY: print it, and on stderr the line for --token-file."""
    try:
        new, line = new_token(identity)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(new)
    click.echo(line, err=True)


def main() -> None:
    """Run the command line."""
    command(prog_name="dockerexec-ws")


def app_settings_from_environment() -> tuple[str, dict[str, Any]]:
    """Return the container and the options of ``create_app`` that the environment gives.

    Raises SettingsError.
    """
    try:
        settings = _settings(command.make_context("dockerexec-ws", [], resilient_parsing=False))
    except click.ClickException as error:
        raise SettingsError(error.format_message()) from error
    if settings["path"] is None:
        raise SettingsError(
            f"{ENVIRONMENT_PREFIX}_PATH is missing: each worker process would make a path of its own; set it, to "
            "something that nobody can guess unless the server asks who they are"
        )
    if any(settings[name] for name in ("certfile", "keyfile", "client_ca")):
        raise SettingsError("certfile, keyfile and client_ca are for the server by itself: give this one's its own TLS")
    container = settings.pop("container")
    for name in ("check_config", *_OF_THE_SERVER):
        del settings[name]
    return container, settings


_OF_THE_SERVER = ("host", "port", "handshake_timeout", "certfile", "keyfile", "client_ca", "log_level")
_BY_WHOM = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)  # who goes first


def _settings(ctx: click.Context) -> dict[str, Any]:
    settings = dict(ctx.params)
    del settings["config"]
    if not any(settings[name] for name in ("container", "allow_container", "allow_container_label")):
        raise click.UsageError(
            "Missing option '--container': which container to serve (or --allow-container, --allow-container-label).",
            ctx,
        )
    engine = [name for name in ("docker_host", "docker_socket") if settings[name]]
    given = [ctx.get_parameter_source(name) for name in engine]
    if len(engine) == 2 and given[0] is not given[1]:
        first = next(source for source in _BY_WHOM if source in given)
        settings[engine[1 - given.index(first)]] = None
    return settings


def _serve(settings: Mapping[str, Any]) -> None:
    options = dict(settings)
    check_only = options.pop("check_config")
    logging.basicConfig(
        stream=sys.stderr,
        level=options.pop("log_level").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        server = DockerExecServer(options.pop("container"), **options)
        if check_only:
            click.echo("the settings are in order")
            return
        server.start()
    except DockerExecError as error:
        raise click.ClickException(_with_tables(str(error))) from error
    closing: list[gevent.Greenlet[..., None]] = []

    def stop(number: int) -> None:
        if closing:
            os._exit(128 + number)
        closing.append(gevent.spawn(server.close))

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop, number)
    gevent.signal_handler(signal.SIGHUP, _reload, server)
    click.echo(f"listening on {server.url}")
    sys.stdout.flush()
    server.serve_forever()


def _with_tables(text: str) -> str:
    """Return *text* with the options that the policy file gives by their full keys, as they are written there."""
    ctx = click.get_current_context()
    for table, keys in TABLES.items():
        for key in keys:
            if ctx.get_parameter_source(key) is ParameterSource.DEFAULT_MAP:
                text = re.sub(rf"(?<![\w.-]){key}(?![\w-])", f"{table}.{key}", text)
    return text


def _reload(server: DockerExecServer) -> None:
    try:
        server.reload()
    except SettingsError as error:
        logging.getLogger(__name__).error("nothing was read again: %s", error)
