"""Streams of a process that are files or this program's own. They are named as for ``subprocess.Popen``."""

import contextlib
import os
import select
import threading
from collections.abc import Callable
from subprocess import DEVNULL, PIPE, STDOUT  # nosec B404  # its constants only
from typing import IO, Any

from dockerexec_ws.client.session import Session
from dockerexec_ws.errors import DockerExecError
from dockerexec_ws.protocol.events import Stream

File = int | IO[Any] | None
"""PIPE, DEVNULL, a descriptor, a file object that has one, or None for this program's own."""

_CHUNK = 64 * 1024
_WAKE_INTERVAL = 0.25  # seconds until a thread that waits for a file sees that the session is over


class Redirection:
    """Where *stdin* of a process comes from, and where *stdout* and *stderr* go to. *stderr* may also be STDOUT.

    Descriptors are duplicated, so the caller may close its file at once. Raises OSError.
    """

    def __init__(self, stdin: File = PIPE, stdout: File = PIPE, stderr: File = PIPE) -> None:
        self.merged = stderr == STDOUT
        """Whether stderr goes where stdout goes."""
        outputs = {Stream.STDOUT: stdout} | ({} if self.merged else {Stream.STDERR: stderr})
        self.piped = {stream for stream, file in outputs.items() if file == PIPE}
        """The streams that the program reads."""
        self.stdin_piped = stdin == PIPE
        """Whether the program writes stdin."""
        self.error: OSError | None = None
        """Why a file could not be read or written. The session is ended then."""
        self._dropped = {stream for stream, file in outputs.items() if file == DEVNULL}
        self._source: int | None = None
        self._sinks: dict[Stream, int] = {}
        self._output_thread: threading.Thread | None = None
        try:
            if stdin not in (PIPE, DEVNULL):
                self._source = _duplicate(stdin, 0)
            for stream, file in outputs.items():
                if stream not in self.piped | self._dropped:
                    self._sinks[stream] = _duplicate(file, stream)
        except BaseException:
            self.close()
            raise

    def start(self, session: Session) -> None:
        """Begin to move the bytes between the files and *session*, in threads. Each closes its files."""
        for stream in self._dropped:
            session.drop_output(stream)
        if self._sinks:
            self._output_thread = _start(self._write_files, session)
        if not self.stdin_piped:
            _start(self._read_file, session)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the files have all output. Return False if *timeout* seconds are not enough. Raises OSError."""
        thread = self._output_thread
        if self.error is None and thread is not None:
            thread.join(timeout)
        if self.error is not None:
            raise self.error
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """Close the files of a session that did not start."""
        for descriptor in (self._source, *self._sinks.values()):
            if descriptor is not None:
                os.close(descriptor)

    def _read_file(self, session: Session) -> None:
        try:
            while data := self._read(session):
                session.write(memoryview(data))
            session.end_stdin()
        except (BrokenPipeError, DockerExecError):
            pass  # the process has exited, or the thread that reads or waits learns how the session failed
        except OSError as error:
            self._fail(session, error)
        finally:
            if self._source is not None:
                os.close(self._source)

    def _read(self, session: Session) -> bytes:
        """Return some of the source; b"" at its end, or if the session is over."""
        while self._source is not None and not session.over:
            if _ready(self._source, select.POLLIN):
                with contextlib.suppress(BlockingIOError):  # another program that shares it was faster
                    return os.read(self._source, _CHUNK)
        return b""

    def _write_files(self, session: Session) -> None:
        # Both streams in the order of arrival, because they may go to the same file.
        only = None if len(self._sinks) == len(Stream) else next(iter(self._sinks))
        try:
            while (got := session.receive(only)) is not None and self._write(session, *got):
                pass
        except DockerExecError:
            pass  # the thread that waits learns how the session failed
        except OSError as error:
            self._fail(session, error)
        finally:
            for descriptor in self._sinks.values():
                os.close(descriptor)

    def _write(self, session: Session, stream: Stream, data: memoryview) -> bool:
        """Write all of *data*. Return False if the session is closed while nobody takes the rest."""
        sink = self._sinks[stream]
        while data:
            if _ready(sink, select.POLLOUT):
                with contextlib.suppress(BlockingIOError):
                    # No more than a pipe that is not full takes at once, because nothing could interrupt the wait.
                    data = data[os.write(sink, data[: select.PIPE_BUF]) :]
            elif session.closing:
                return False
        return True

    def _fail(self, session: Session, error: OSError) -> None:
        self.error = error
        session.abandon()


def _duplicate(file: File, own: int) -> int:
    return os.dup(own if file is None else file if isinstance(file, int) else file.fileno())


def _ready(descriptor: int, event: int) -> bool:
    poll = select.poll()  # looked up here, because gevent may have patched it
    poll.register(descriptor, event)
    return bool(poll.poll(_WAKE_INTERVAL * 1000))


def _start(target: Callable[[Session], None], session: Session) -> threading.Thread:
    thread = threading.Thread(target=target, args=(session,), name="dockerexec-ws file", daemon=True)
    thread.start()
    return thread
