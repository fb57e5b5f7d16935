"""The command line; also the one place that reads settings, from flags and from the environment."""

import logging
import os
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
from dockerexec_ws.errors import DockerExecError, SettingsError
from dockerexec_ws.server.server import DockerExecServer
from dockerexec_ws.server.settings import LEAST_OUTPUT_LIMIT, ON_DISCONNECT, Settings

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
@click.option("--container", metavar="NAME", required=True, help="Name or id of the container to run commands in.")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="Port to listen on; 0 takes a free one.")
@click.option("--path", show_default="one that nobody can guess", help="Path of the URL.")
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
    client and end every process; a second one stops at once.
    """
    if ctx.invoked_subcommand is None:
        _serve(_settings(ctx))


def main() -> None:
    """Run the command line."""
    command(prog_name="dockerexec-ws")


def app_settings_from_environment() -> tuple[str, dict[str, Any]]:
    """Return the container and the options of ``create_app`` that the environment gives.

    Raises SettingsError.
    """
    try:
        settings = _settings(command.make_context("dockerexec-ws", [], resilient_parsing=False))
    except click.UsageError as error:
        raise SettingsError(error.format_message()) from error
    if settings["path"] is None:
        raise SettingsError(
            f"{ENVIRONMENT_PREFIX}_PATH is missing: each worker process would make a path of its own; set it, to "
            "something that nobody can guess unless the server asks who they are"
        )
    container = settings.pop("container")
    for name in ("host", "port", "handshake_timeout", "log_level"):  # the WSGI server's own affairs
        del settings[name]
    return container, settings


def _settings(ctx: click.Context) -> dict[str, Any]:
    settings = dict(ctx.params)
    given = [ctx.get_parameter_source(name) for name in ("docker_host", "docker_socket")]
    if ParameterSource.COMMANDLINE in given and ParameterSource.ENVIRONMENT in given:  # a flag goes before that
        settings["docker_host" if given[0] is ParameterSource.ENVIRONMENT else "docker_socket"] = None
    return settings


def _serve(settings: Mapping[str, Any]) -> None:
    options = dict(settings)
    logging.basicConfig(
        stream=sys.stderr,
        level=options.pop("log_level").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        server = DockerExecServer(options.pop("container"), **options)
        server.start()
    except DockerExecError as error:
        raise click.ClickException(str(error)) from error
    closing: list[gevent.Greenlet[..., None]] = []

    def stop(number: int) -> None:
        if closing:
            os._exit(128 + number)
        closing.append(gevent.spawn(server.close))

    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop, number)
    click.echo(f"listening on {server.url}")
    sys.stdout.flush()
    server.serve_forever()
