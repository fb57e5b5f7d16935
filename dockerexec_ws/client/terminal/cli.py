"""The client's command line."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import cloup
from click.shell_completion import get_completion_class

from dockerexec_ws.client.terminal.escape import escape_character
from dockerexec_ws.client.terminal.exit_status import OWN_FAILURE, Ending
from dockerexec_ws.errors import SettingsError
from dockerexec_ws.protocol.terminal import SHELL, terminal_variables

if TYPE_CHECKING:
    import ssl

PROGRAM = "dockerexec-ws-client"
TOKEN_VARIABLE = "DOCKEREXEC_WS_TOKEN"  # nosec B105  # its name, not a token

_COMPLETION_VARIABLE = "_DOCKEREXEC_WS_CLIENT_COMPLETE"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Command(cloup.Command):
    """Take options before and after the URL, but leave the options of the command to it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = "" if "--" in given else " If it is an option of the command, put -- before the command."
            raise click.UsageError(f"{error.format_message()}{hint}", ctx) from error
        argv = ctx.params.get("argv", ())
        if argv and "--" not in given and tuple(given[-len(argv) :]) != argv:
            raise click.UsageError("The command has options of its own. Put -- before it.", ctx)
        return rest


class _Escape(click.ParamType[bytes]):
    name = "char"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return escape_character(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


def _print_completion(ctx: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is None:
        return
    kind = get_completion_class(shell)
    assert kind is not None  # nosec B101  # for the type checker: the choice has click's names
    click.echo(kind(ctx.command, {}, PROGRAM, _COMPLETION_VARIABLE).source())
    ctx.exit()


@cloup.command(
    cls=_Command,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit status: the command's; 125 if it could not be run, or its session was lost; 128 + N if signal N ended "
    "the client.",
)
@click.argument("url")
@click.argument("argv", metavar="[[--] COMMAND...]", nargs=-1, type=click.UNPROCESSED)
@cloup.option_group(
    "Command",
    cloup.option(
        "-t/",
        "--tty/--no-tty",
        "tty",
        default=None,
        help="Run the command in a terminal. [default: if stdin and stdout are terminals]",
    ),
    cloup.option(
        "-i", "--interactive", is_flag=True, expose_value=False, help="Has no effect: stdin always goes to the command."
    ),
    cloup.option("-u", "--user", help="User to run the command as, if the server allows it."),
    cloup.option(
        "-e",
        "--env",
        multiple=True,
        metavar="K[=V]",
        help="Environment variable for the command. K alone passes on the value that it has here.",
    ),
    cloup.option("-w", "--workdir", help="Directory to run the command in."),
    cloup.option("--privileged", is_flag=True, help="Run the command with all privileges."),
)
@cloup.option_group(
    "Connection",
    cloup.option("--header", multiple=True, metavar="'K: V'", help="Header of the request; repeatable."),
    cloup.option(
        "--token-file",
        type=_FILE,
        help=f"File with the token that lets you in. [default: the environment's {TOKEN_VARIABLE}]",
    ),
    cloup.option("--cafile", type=_FILE, help="Authorities (PEM) to verify the server with. [default: the system's]"),
    cloup.option("--certfile", type=_FILE, help="Your certificate (PEM), if the server asks for one."),
    cloup.option("--keyfile", type=_FILE, help="The certificate's key, unless --certfile contains it."),
    cloup.option(
        "--proxy",
        metavar="URL",
        help="HTTP proxy to connect through: http://[USER:PASSWORD@]HOST:PORT. [default: as the environment's "
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say]",
    ),
    cloup.option("--no-proxy", is_flag=True, help="Connect directly, whatever the environment says."),
    cloup.option(
        "--open-timeout",
        type=click.FloatRange(0, min_open=True),
        default=30.0,
        show_default=True,
        help="Seconds to wait for the command to run.",
    ),
)
@cloup.option_group(
    "Terminal",
    cloup.option(
        "--escape",
        type=_Escape(),
        default="~",
        show_default=True,
        help="Escape character. In a terminal, type it and a dot after a newline to leave a session that hangs. ^X is "
        "Ctrl-X; 'none' turns it off.",
    ),
)
@cloup.option(
    "--completion",
    type=click.Choice(["bash", "zsh", "fish"]),
    is_eager=True,
    expose_value=False,
    callback=_print_completion,
    help="Print the shell's completion script.",
)
@click.version_option(package_name="dockerexec-ws", prog_name=PROGRAM)
def command(
    url: str,
    argv: tuple[str, ...],
    *,
    tty: bool | None,
    env: Sequence[str],
    header: Sequence[str],
    token_file: Path | None,
    cafile: Path | None,
    certfile: Path | None,
    keyfile: Path | None,
    proxy: str | None,
    no_proxy: bool,
    escape: bytes,
    **options: Any,
) -> Ending:
    """Run COMMAND through the server at URL, as `docker exec` does locally.

    Without COMMAND, run a shell in a terminal: bash, or sh if the container has no bash.

    The command also gets stdin. Use </dev/null if it must not read it.
    """
    # Imported late, because --help and completion need neither TLS nor WebSockets.
    from dockerexec_ws.client.process import Process
    from dockerexec_ws.client.start import connect
    from dockerexec_ws.client.terminal.mainloop import attend

    if tty is None:
        tty = os.isatty(0) and os.isatty(1)
    if not argv and not tty:
        raise click.UsageError(
            "There is no COMMAND, and a shell needs a terminal. Add -- COMMAND, or --tty for a shell all the same."
        )
    if proxy is not None and no_proxy:
        raise click.UsageError("--proxy and --no-proxy contradict each other. Give one of them.")
    _log_to_stderr(raw=tty and os.isatty(0))
    options |= {
        "tty": tty,
        "env": (terminal_variables(os.environ) if tty else {}) | _environment(env),
        "headers": dict(map(_header, header)),
        "token": _token(token_file),
        "ssl_context": _tls(cafile, certfile, keyfile),
        "proxy": not no_proxy if proxy is None else proxy,
    }
    if options["token"] is not None:
        _warn_of_plain(url)

    def connected(size: tuple[int, int] | None) -> Process:
        return connect(url, argv or SHELL, size=size, **options)

    return attend(connected, tty=tty, escape=escape)


def run(args: Sequence[str] | None = None) -> tuple[int, int]:
    """Run the command line; return the exit status, and the signal that is to end this program (0: none)."""
    try:
        result = command.main(args, prog_name=PROGRAM, complete_var=_COMPLETION_VARIABLE, standalone_mode=False)
    except click.ClickException as error:
        return _failed(error.format_message())
    except SettingsError as error:
        return _failed(str(error))
    except Exception:
        logging.getLogger(__name__).exception("unexpected error; this is a bug in the program")
        return OWN_FAILURE, 0
    if isinstance(result, int):  # --help, --version or --completion
        return result, 0
    if result.text:
        return _failed(result.text)
    return result.status, result.signal


def _failed(text: str) -> tuple[int, int]:
    from dockerexec_ws.client.terminal.mainloop import say

    say(text)
    return OWN_FAILURE, 0


def _log_to_stderr(*, raw: bool) -> None:
    """Print warnings on stderr, such as messages from the server. In *raw* mode a line needs a carriage return, too."""
    handler = logging.StreamHandler()
    begin, handler.terminator = ("\r\n", "\r\n") if raw else ("", "\n")
    logging.basicConfig(handlers=[handler], format=f"{begin}{PROGRAM}: %(message)s")


def _environment(words: Sequence[str]) -> dict[str, str]:
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise click.UsageError(f"--env {word!r} has no name. Use NAME=VALUE or NAME.")
        if equals or name in os.environ:
            given[name] = value if equals else os.environ[name]
    return given


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise click.UsageError("A --header has no colon or no name. Use 'Name: value'.")
    return name.strip(), value.strip()


def _token(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = file.read_text(encoding="utf-8-sig").strip()  # editors of Windows begin a file with a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--token-file {file} cannot be read: {error}") from error
    if not token:
        raise click.UsageError(f"--token-file {file} is empty. Write the token into it.")
    return token


def _tls(cafile: Path | None, certfile: Path | None, keyfile: Path | None) -> "ssl.SSLContext | None":
    if not (cafile or certfile or keyfile):
        return None
    if keyfile and not certfile:
        raise click.UsageError("--keyfile needs --certfile. Give the certificate, too.")
    import ssl

    try:
        context = ssl.create_default_context(cafile=cafile)
        if certfile:
            context.load_cert_chain(certfile, keyfile)
    except OSError as error:  # SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or error
        raise click.UsageError(f"--cafile, --certfile or --keyfile cannot be used: {reason}") from error
    return context


def _warn_of_plain(url: str) -> None:
    import ipaddress

    from dockerexec_ws.client.terminal.mainloop import say

    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if parts.scheme in ("ws", "http") and not here:
        say(f"warning: the token and all other data go to {host} in the clear. Use wss:// to encrypt them.")
