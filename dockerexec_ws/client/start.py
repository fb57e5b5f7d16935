"""``connect`` and ``run`` start a command in a container, as ``subprocess`` starts one locally."""

import os
import select
import ssl
import subprocess  # nosec B404  # its exceptions and its result only
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from dockerexec_ws.client.connection import Connection
from dockerexec_ws.client.opening import open_websocket, session_url
from dockerexec_ws.client.process import Process, left
from dockerexec_ws.client.session import Session
from dockerexec_ws.client.streams import feed_soon
from dockerexec_ws.errors import ConnectionLost
from dockerexec_ws.protocol.events import Stream


def connect(
    url: str,
    argv: Sequence[str],
    *,
    tty: bool = False,
    size: tuple[int, int] | None = None,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    privileged: bool = False,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    open_timeout: float = 30.0,
) -> Process:
    """Run *argv* through the server at *url*, and return once it runs.

    *url* is a ws or wss URL, or that of the server's page (http, https). *size* is the rows and columns of the *tty*.
    *user*, *env*, *workdir* and *privileged* need a server of this package whose policy allows them. *token* is sent as
    ``Authorization: Bearer``. Raises SettingsError, SessionRefused, ServerShutdown, EngineError or ConnectionLost; the
    last also if the command does not run after *open_timeout* seconds.
    """
    begin = time.monotonic()
    target = session_url(url, argv, tty=tty, size=size, user=user, env=env, workdir=workdir, privileged=privileged)
    connection = Connection(
        *open_websocket(target, token=token, headers=headers, ssl_context=ssl_context, timeout=open_timeout)
    )
    session = None
    try:
        session = Session(connection, tty=tty)
        session.wait_until_ready(max(begin + open_timeout - time.monotonic(), 0))
        process = Process(session, argv, tty=tty)
        if size is not None:
            process.resize(*size)  # docker-exec-websocket-server takes no size from the URL
    except BaseException as error:
        connection.cut()
        if session is not None:
            session.close()
        if isinstance(error, TimeoutError):
            raise ConnectionLost(f"the command was not started within {open_timeout:g} s") from error
        raise
    return process


class Options(TypedDict, total=False):
    """The options that ``run`` passes on to ``connect``."""

    tty: bool
    size: tuple[int, int] | None
    user: str | None
    env: Mapping[str, str] | None
    workdir: str | None
    privileged: bool
    token: str | None
    headers: Mapping[str, str] | None
    ssl_context: ssl.SSLContext | None
    open_timeout: float


def run(
    url: str,
    argv: Sequence[str],
    *,
    input: bytes | str | None = None,  # noqa: A002
    capture_output: bool = False,
    text: bool = False,
    timeout: float | None = None,
    check: bool = False,
    **options: Unpack[Options],
) -> "subprocess.CompletedProcess[Any]":
    """Run *argv* through the server at *url*, as ``subprocess.run`` does locally.

    stdin is *input*, or empty. Without *capture_output*, the output goes to this program's own stdout and stderr. With
    *text*, captured output is decoded as UTF-8, and each line ends with a newline only. *options* are those of
    ``connect``.

    Raises subprocess.CalledProcessError (with *check*, if the exit code is not 0), subprocess.TimeoutExpired (after
    *timeout* seconds; the server ends the process), OSError (if the output cannot be written), and as ``connect``.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    if timeout is not None:
        options["open_timeout"] = max(min(timeout, options.get("open_timeout", timeout)), 0)
    if not capture_output:
        for descriptor in (1, 2):
            os.fstat(descriptor)  # must be open, or the connection would get its number
    data = input.encode() if isinstance(input, str) else input
    try:
        process = connect(url, argv, **options)
    except ConnectionLost as error:
        if deadline is not None and time.monotonic() >= deadline:
            raise subprocess.TimeoutExpired(list(argv), timeout or 0) from error
        raise
    try:
        if capture_output:
            output: tuple[bytes | None, bytes | None] = process.communicate(data, left(deadline))
        else:
            _pass_on(process, data, deadline)
            output = None, None
    except TimeoutError:
        raise subprocess.TimeoutExpired(process.args, timeout or 0) from None
    except subprocess.TimeoutExpired as error:
        error.timeout = timeout or 0  # connecting has used up a part of it
        raise
    finally:
        process.close()
    stdout, stderr = (_decoded(stream) if text else stream for stream in output)
    done = subprocess.CompletedProcess(process.args, process.wait(), stdout, stderr)
    if check:
        done.check_returncode()
    return done


def _pass_on(process: Process, data: bytes | None, deadline: float | None) -> None:
    """Write the output to this program's own stdout and stderr, in the order of arrival."""
    feed_soon(process.stdin, data)
    poll = {stream: select.poll() for stream in Stream}
    for stream in Stream:
        poll[stream].register(stream, select.POLLOUT)
    while (got := process.receive(left(deadline))) is not None:
        stream, rest = got
        while rest:
            seconds = left(deadline)
            if not poll[stream].poll(None if seconds is None else seconds * 1000):
                raise TimeoutError
            # No more than a pipe that is not full takes at once, because nothing could interrupt the wait.
            rest = rest[os.write(stream, rest[: select.PIPE_BUF]) :]


def _decoded(output: bytes | None) -> str | None:
    return None if output is None else output.decode().replace("\r\n", "\n").replace("\r", "\n")
