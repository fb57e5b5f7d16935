"""The command line of the server."""

import contextlib
import logging
import os
import re
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

import click
import cloup
import gevent

from dockerexec_ws import __version__
from dockerexec_ws.access.token_file import new_token
from dockerexec_ws.errors import DockerExecError, SettingsError
from dockerexec_ws.observe import logs
from dockerexec_ws.serve.server import DockerExecServer
from dockerexec_ws.settings.flags import CONTEXT_SETTINGS, given, in_policy_file, parameters
from dockerexec_ws.settings.schema import OPTIONS


@cloup.group(
    invoke_without_command=True,
    params=parameters(),
    context_settings=CONTEXT_SETTINGS,
    epilog="Each option can also be given in the environment, as DOCKEREXEC_WS_CONTAINER, DOCKEREXEC_WS_MAX_SESSIONS "
    "and so on. Flags take precedence over the environment, and both over the policy file. The engine's address is the "
    "first of these that is set: a flag, DOCKEREXEC_WS_DOCKER_HOST or DOCKEREXEC_WS_DOCKER_SOCKET, the policy file, "
    "DOCKER_HOST. Otherwise it is /var/run/docker.sock.",
)
@click.version_option(__version__, prog_name="dockerexec-ws", allow_from_autoenv=False)
@click.pass_context
def command(ctx: click.Context, /, **_: Any) -> None:
    """Serve docker exec over WebSockets. Every client that reaches the port and knows the path can run commands.

    When the server accepts connections, it prints one line, "listening on ws://HOST:PORT/PATH". On SIGTERM or SIGINT it
    notifies the clients, ends their processes and stops; a second signal stops it at once. On SIGHUP it reloads its TLS
    files.
    """
    if ctx.invoked_subcommand is None:
        _serve(given(ctx))


@command.command()
@click.argument("identity")
def token(identity: str) -> None:
    """Make a token for IDENTITY. Print it, and print the line for --token-file on stderr."""
    try:
        new, line = new_token(identity)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(new)
    click.echo(line, err=True)


def main() -> None:
    """Run the command line."""
    command(prog_name="dockerexec-ws")


def _serve(settings: Mapping[str, Any]) -> None:
    options = dict(settings)
    check_only = options.pop("check_config")
    logs.set_up(options.pop("log_level").upper())
    _raise_descriptor_limit()
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


def _raise_descriptor_limit() -> None:
    """Use as many file descriptors as the administrator allows. Each session takes several; the default is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _with_tables(text: str) -> str:
    """Return *text* with the full keys of the options that come from the policy file, so that users find them there."""
    for option in filter(in_policy_file(click.get_current_context()), OPTIONS):
        text = re.sub(rf"(?<![\w.-]){option.name}(?![\w-])", option.key, text)
    return text


def _reload(server: DockerExecServer) -> None:
    try:
        server.reload()
    except SettingsError as error:
        logging.getLogger(__name__).error("the TLS files were not reloaded, and the former ones stay in use: %s", error)
