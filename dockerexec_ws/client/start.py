"""``connect`` and ``run`` start a command in a container, as ``subprocess`` starts one locally."""

import codecs
import ssl
import subprocess  # nosec B404  # its exceptions and its result only
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from dockerexec_ws.client.connection import Connection
from dockerexec_ws.client.opening import open_websocket, session_url
from dockerexec_ws.client.process import Process, left
from dockerexec_ws.client.redirection import File, Redirection
from dockerexec_ws.client.session import Session
from dockerexec_ws.errors import ConnectionLost


def connect(
    url: str,
    argv: Sequence[str],
    *,
    stdin: File = subprocess.PIPE,
    stdout: File = subprocess.PIPE,
    stderr: File = subprocess.PIPE,
    text: bool | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    tty: bool = False,
    size: tuple[int, int] | None = None,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    privileged: bool = False,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | bool = True,
    open_timeout: float = 30.0,
) -> Process:
    """Run *argv* through the server at *url*, and return once it runs.

    *stdin*, *stdout*, *stderr*, *text*, *encoding* and *errors* are as for ``subprocess.Popen``, but the streams are
    pipes by default, and text is UTF-8.

    *url* is a ws or wss URL, or that of the server's page (http, https). *size* is the rows and columns of the *tty*.
    *user*, *env*, *workdir* and *privileged* need a server of this package whose policy allows them. *token* is sent as
    ``Authorization: Bearer``. *proxy* is the URL of an HTTP proxy, False for none, or True to follow the environment
    (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).

    Raises SettingsError, SessionRefused, ServerShutdown, EngineError or ConnectionLost; the last also if the command
    does not run after *open_timeout* seconds. Raises OSError for a file without a descriptor.
    """
    begin = time.monotonic()
    target = session_url(url, argv, tty=tty, size=size, user=user, env=env, workdir=workdir, privileged=privileged)
    if encoding is None and (text or errors):
        encoding = "utf-8"
    errors = errors or "strict"
    if encoding is not None:
        # Before the command runs. Decoding nothing would look up neither.
        codecs.lookup(encoding)
        codecs.lookup_error(errors)
    # Duplicated before there is a socket, which could get the number of a descriptor that is closed.
    files = Redirection(stdin, stdout, stderr)
    try:
        connection = Connection(
            *open_websocket(
                target, token=token, headers=headers, ssl_context=ssl_context, proxy=proxy, timeout=open_timeout
            )
        )
    except BaseException:
        files.close()
        raise
    session = process = None
    try:
        session = Session(connection, tty=tty, merged=files.merged)
        session.wait_until_ready(max(begin + open_timeout - time.monotonic(), 0))
        process = Process(session, argv, tty=tty, redirection=files, encoding=encoding, errors=errors)
        if size is not None:
            process.resize(*size)  # docker-exec-websocket-server takes no size from the URL
    except BaseException as error:
        connection.cut()
        if session is not None:
            session.close()
        if process is None:
            files.close()
        if isinstance(error, TimeoutError):
            raise ConnectionLost(f"the command was not started within {open_timeout:g} s") from error
        raise
    return process


class Options(TypedDict, total=False):
    """The options that ``run`` passes on to ``connect``."""

    stdin: File
    stdout: File
    stderr: File
    encoding: str | None
    errors: str | None
    tty: bool
    size: tuple[int, int] | None
    user: str | None
    env: Mapping[str, str] | None
    workdir: str | None
    privileged: bool
    token: str | None
    headers: Mapping[str, str] | None
    ssl_context: ssl.SSLContext | None
    proxy: str | bool
    open_timeout: float


def run(
    url: str,
    argv: Sequence[str],
    *,
    input: bytes | str | None = None,  # noqa: A002
    capture_output: bool = False,
    text: bool | None = None,
    timeout: float | None = None,
    check: bool = False,
    **options: Unpack[Options],
) -> "subprocess.CompletedProcess[Any]":
    """Run *argv* through the server at *url*, as ``subprocess.run`` does locally.

    stdin is *input*, or empty. The output goes to this program's own stdout and stderr, unless *capture_output*, or
    ``stdout`` and ``stderr`` among the *options*, say otherwise. *options* are those of ``connect``. With *text*,
    ``encoding`` or ``errors``, captured output is decoded, as UTF-8 by default, and each line ends with a newline only.

    Raises subprocess.CalledProcessError (with *check*, if the exit code is not 0), subprocess.TimeoutExpired (after
    *timeout* seconds; the server ends the process), OSError (if a file cannot be read or written), and as ``connect``.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    if timeout is not None:
        options["open_timeout"] = max(min(timeout, options.get("open_timeout", timeout)), 0)
    if input is not None:
        if options.get("stdin", subprocess.DEVNULL) != subprocess.DEVNULL:
            raise ValueError("stdin and input may not both be used")
        options["stdin"] = subprocess.PIPE
    if capture_output:
        if "stdout" in options or "stderr" in options:
            raise ValueError("stdout and stderr may not be used with capture_output")
        options["stdout"] = options["stderr"] = subprocess.PIPE
    own: Options = {"stdin": subprocess.DEVNULL, "stdout": None, "stderr": None}
    if isinstance(input, str):
        # Text is taken without `text`, too.
        input = input.encode(options.get("encoding") or "utf-8", options.get("errors") or "strict")  # noqa: A001
    try:
        process = connect(url, argv, text=text, **(own | options))
    except ConnectionLost as error:
        if deadline is not None and time.monotonic() >= deadline:
            raise subprocess.TimeoutExpired(list(argv), timeout or 0) from error
        raise
    try:
        stdout, stderr = process.communicate(input, left(deadline))
    except subprocess.TimeoutExpired as error:
        error.timeout = timeout or 0  # connecting has used up a part of it
        raise
    finally:
        process.close()
    done = subprocess.CompletedProcess(process.args, process.wait(), stdout, stderr)
    if check:
        done.check_returncode()
    return done


def check_output(url: str, argv: Sequence[str], **options: Any) -> Any:
    """Return the stdout of *argv*, as ``subprocess.check_output`` does. *options* are those of ``run``.

    Raises subprocess.CalledProcessError if the exit code is not 0, and as ``run``.
    """
    if "stdout" in options:
        raise ValueError("stdout may not be used, because it is returned")
    return run(url, argv, stdout=subprocess.PIPE, check=True, **options).stdout
