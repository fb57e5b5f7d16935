"""``connect`` and ``run``: a command in a container, used like one that ``subprocess`` started here."""

import contextlib
import io
import os
import select
import ssl
import subprocess  # nosec B404  # its exceptions and its result only
import time
import warnings
import weakref
from collections.abc import Mapping, Sequence
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from dockerexec_ws.client.opening import open_websocket, session_url
from dockerexec_ws.client.session import Session
from dockerexec_ws.client.streams import BUFFER_SIZE, InputStream, OutputReader
from dockerexec_ws.errors import ConnectionLost, DockerExecError, SettingsError
from dockerexec_ws.protocol.events import Resize, Stream


class Process:
    """A command that runs in a container, with the methods of ``subprocess.Popen``; ``connect`` makes it.

    ``stdin``, ``stdout`` and ``stderr`` are binary file objects, buffered: flush ``stdin`` to have its bytes sent,
    close it for the half-close. As with Popen, a process stops when it has written 2 MiB (128 KiB with a tty) that
    nobody reads, of stdout and stderr together: read both, by threads or ``communicate``, or close the one that does
    not matter. With a tty everything is on ``stdout``.

    Where a session ends by anything but an exit code, what reads, writes and waits raises SessionRefused,
    ServerShutdown, EngineError or ConnectionLost; output that came before is read first, and what ``read()`` had of it
    by then is the exception's ``stdout`` or ``stderr``.

    As a context manager it closes ``stdin`` at the end and waits for the process; an exception ends the process.
    """

    def __init__(self, session: Session, args: Sequence[str], *, tty: bool) -> None:
        self.args = list(args)
        """The words of the command."""
        self.tty = tty
        """Whether it has a terminal."""
        self._session = session
        self.stdin = io.BufferedWriter(InputStream(session), BUFFER_SIZE)
        self.stdout = OutputReader(session, Stream.STDOUT)
        self.stderr = OutputReader(session, Stream.STDERR)
        self._collected: dict[Stream, list[bytes | memoryview]] = {Stream.STDOUT: [], Stream.STDERR: []}
        self._feeder: Thread | None = None
        self._finalizer = weakref.finalize(self, _forgotten, session, self.args)

    @property
    def returncode(self) -> int | None:
        """The exit code, 0 to 255, as soon as the server has told it; else None."""
        return self._session.exit_code

    def poll(self) -> int | None:
        """Return the exit code, None if it runs. Raises what the session ended with instead."""
        return self._session.wait(0) if self._session.over else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises subprocess.TimeoutExpired after *timeout* seconds; see the class."""
        try:
            return self._session.wait(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0) from None

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002
        """Send *input*, end stdin, and return all of stdout and stderr once the process has exited.

        Raises subprocess.TimeoutExpired after *timeout* seconds: nothing is lost then, it can be called again (its
        *input* no longer counts). What the session ends with instead has the output that came in ``stdout`` and
        ``stderr``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._feeder is None:
            if input and self.stdin.closed:
                raise ValueError("stdin is closed already")
            for stream, reader in ((Stream.STDOUT, self.stdout), (Stream.STDERR, self.stderr)):
                if not reader.closed:
                    self._collected[stream].append(reader.give_up())
            self._feeder = self._feed_soon(input)
        try:
            while (got := self._session.receive(timeout=_left(deadline))) is not None:
                self._collected[got[0]].append(got[1])
        except TimeoutError:
            output = self._output()
            raise subprocess.TimeoutExpired(self.args, timeout or 0, *output) from None
        except DockerExecError as error:
            error.stdout, error.stderr = self._output()
            raise
        self._feeder.join()
        return self._output()

    def receive(self, timeout: float | None = None) -> tuple[Stream, memoryview] | None:
        """Return the next piece of output of either stream (Stream.STDOUT, Stream.STDERR), in the order of its arrival.

        None is the end of a process that has exited. Instead of the file objects, for who wants both in order. Raises
        TimeoutError; see the class.
        """
        return self._session.receive(timeout=timeout)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size, each 0 to 65535. Raises SettingsError if it has none."""
        if not self.tty:
            raise SettingsError("a session without a tty has no size")
        self._session.send(Resize(rows, columns))

    def close(self) -> None:
        """End the session: a process that still runs is ended, output that was not read is dropped. Idempotent.

        Returns when the server has ended the process, or does not answer for 3 s.
        """
        self._session.close()
        self._finalizer.detach()  # not before: that may be interrupted
        for stream in (self.stdout, self.stderr):
            stream.close()
        with contextlib.suppress(BrokenPipeError, DockerExecError):  # what was not flushed is nobody's any more
            self.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._finalizer.alive:  # not closed already
                self._close_stdin()
                for stream in (self.stdout, self.stderr):
                    stream.close()
                self.wait()
        finally:
            self.close()

    def _close_stdin(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it exited without having read everything: its own affair
            self.stdin.close()

    def _feed_soon(self, data: bytes | None) -> Thread:
        """Send *data* and end stdin, by a thread: the output has to be read meanwhile."""
        feeder = Thread(target=self._feed, args=(data,), name="dockerexec-ws stdin", daemon=True)
        feeder.start()
        return feeder

    def _feed(self, data: bytes | None) -> None:
        # Whoever reads finds out; ValueError: stdin is closed already.
        with contextlib.suppress(BrokenPipeError, DockerExecError, ValueError):
            if data:
                self.stdin.write(data)
            self._close_stdin()

    def _output(self) -> tuple[bytes, bytes]:
        return b"".join(self._collected[Stream.STDOUT]), b"".join(self._collected[Stream.STDERR])


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
    """Run *argv* by the server at *url* (ws, wss; or its page's: http, https); return when it runs.

    *size* is rows and columns of the *tty*. *user*, *env*, *workdir* and *privileged* are for this package's servers
    whose policy allows them; *token* is sent as ``Authorization: Bearer``. Raises SettingsError, SessionRefused,
    ServerShutdown, EngineError; ConnectionLost, also after *open_timeout* seconds.
    """
    begin = time.monotonic()
    target = session_url(url, argv, tty=tty, size=size, user=user, env=env, workdir=workdir, privileged=privileged)
    transport, protocol = open_websocket(
        target, token=token, headers=headers, ssl_context=ssl_context, timeout=open_timeout
    )
    session = None
    try:
        session = Session(transport, protocol, tty=tty)
        session.wait_until_ready(max(begin + open_timeout - time.monotonic(), 0))
        process = Process(session, argv, tty=tty)
        if size is not None:
            process.resize(*size)  # a server of the other package knows no size in the URL
    except BaseException as error:
        transport.cut()
        if session is not None:
            session.close()
        if isinstance(error, TimeoutError):
            raise ConnectionLost(f"the command was not started within {open_timeout:g} s") from error
        raise
    return process


class Options(TypedDict, total=False):
    """What ``run`` hands on to ``connect``."""

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
    """Run *argv* by the server at *url*, as ``subprocess.run`` runs it here; *options* are those of ``connect``.

    stdin is *input*, else it is empty. Without *capture_output* the output goes to this process's own stdout and
    stderr (OSError if one is closed). With *text*, output is str: UTF-8, and every line ends with a newline only.
    Raises subprocess.CalledProcessError (with *check*, if the exit code is not 0), subprocess.TimeoutExpired (after
    *timeout* seconds; the process is ended), and as ``connect``.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    if timeout is not None:
        options["open_timeout"] = max(min(timeout, options.get("open_timeout", timeout)), 0)
    if not capture_output:
        for descriptor in (1, 2):
            os.fstat(descriptor)  # if it is closed, it must not become the connection's
    data = input.encode() if isinstance(input, str) else input
    try:
        process = connect(url, argv, **options)
    except ConnectionLost as error:
        if deadline is not None and time.monotonic() >= deadline:
            raise subprocess.TimeoutExpired(list(argv), timeout or 0) from error
        raise
    try:
        if capture_output:
            output: tuple[bytes | None, bytes | None] = process.communicate(data, _left(deadline))
        else:
            _pass_on(process, data, deadline)
            output = None, None
    except TimeoutError:
        raise subprocess.TimeoutExpired(process.args, timeout or 0) from None
    except subprocess.TimeoutExpired as error:
        error.timeout = timeout or 0  # of which connecting has taken a part
        raise
    finally:
        process.close()
    stdout, stderr = (_decoded(stream) if text else stream for stream in output)
    done = subprocess.CompletedProcess(process.args, process.wait(), stdout, stderr)
    if check:
        done.check_returncode()
    return done


def _pass_on(process: Process, data: bytes | None, deadline: float | None) -> None:
    """Write the output to this process's own stdout and stderr, in its order."""
    process._feed_soon(data)
    poll = {stream: select.poll() for stream in Stream}
    for stream in Stream:
        poll[stream].register(stream, select.POLLOUT)
    while (got := process.receive(_left(deadline))) is not None:
        stream, rest = got
        while rest:
            left = _left(deadline)
            if not poll[stream].poll(None if left is None else left * 1000):
                raise TimeoutError
            # What a pipe that is not full takes without waiting, which nothing could end.
            rest = rest[os.write(stream, rest[: select.PIPE_BUF]) :]


def _decoded(output: bytes | None) -> str | None:
    return None if output is None else output.decode().replace("\r\n", "\n").replace("\r", "\n")


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), 0)


def _forgotten(session: Session, args: Sequence[str]) -> None:
    runs = not session.over
    session.abandon()  # first: a warning may be an exception
    if runs:
        warnings.warn(f"the process {args!r} was neither waited for nor closed, and is ended", ResourceWarning, 2)
