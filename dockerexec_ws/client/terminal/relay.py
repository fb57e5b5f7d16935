"""Moves bytes between this program's own stdin, stdout and stderr and a process, each direction in its own thread."""

import contextlib
import os
import select
import signal
import subprocess  # nosec B404  # an exception of it only
import threading
from collections.abc import Callable
from queue import SimpleQueue

from dockerexec_ws.client.process import Process
from dockerexec_ws.client.terminal.escape import EscapeFilter
from dockerexec_ws.client.terminal.exit_status import OWN_FAILURE, Ending
from dockerexec_ws.client.terminal.private_modes import TerminalModes
from dockerexec_ws.errors import DockerExecError

_CHUNK = 64 * 1024
_NAMES = ("stdin", "stdout", "stderr")
_READER_GONE_GRACE = 1.0


class Relay:
    """Relays until something ends the session.

    It then puts an Ending into *events*, or SIGPIPE if nobody reads stdout any more.

    With *escape*, stdin is a terminal. It is then read all the time, so that the escape works in a session that hangs.
    """

    def __init__(
        self,
        process: Process,
        events: "SimpleQueue[object]",
        *,
        escape: EscapeFilter | None = None,
        modes: TerminalModes | None = None,
    ) -> None:
        self.line_ended = True
        """Whether the last output ended with a newline."""
        self._process = process
        self._events = events
        self._escape = escape
        self._modes = modes
        self._typed: SimpleQueue[bytes] = SimpleQueue()
        self._writing = threading.Lock()

    def start(self) -> None:
        """Start the threads. They end with this program: nobody joins them."""
        targets: list[Callable[[], None]] = [self._write_output, self._watch_reader]
        targets += [self._read_input] if self._escape is None else [self._read_keys, self._send_keys]
        for target in targets:
            threading.Thread(target=target, name=f"dockerexec-ws {target.__name__}", daemon=True).start()

    def stop_output(self, timeout: float) -> bool:
        """Stop writing output. Return False if a write is still stuck after *timeout* seconds."""
        return self._writing.acquire(timeout=timeout)

    # Output

    def _write_output(self) -> None:
        try:
            while (got := self._process.receive()) is not None:
                stream, data = got
                if self._modes is not None:
                    self._modes.feed(data)
                with self._writing:
                    self._write(stream, data)
                    self.line_ended = data[-1] == ord("\n")
            self._events.put(Ending(self._process.wait()))
        except BrokenPipeError:
            self._events.put(signal.SIGPIPE)
        except DockerExecError as error:
            self._events.put(Ending(OWN_FAILURE, str(error)))

    def _write(self, descriptor: int, data: memoryview) -> None:
        """Write all of *data*, even if another program that shares the descriptor has made it non-blocking."""
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:
                _wait_for(descriptor, select.POLLOUT)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise _failed("write to", descriptor, error) from error

    def _watch_reader(self) -> None:
        """Notice that nobody reads stdout any more, even if nothing is written (``tail -f`` into ``head -1``)."""
        _wait_for(1, 0)  # POLLERR and POLLHUP are always reported
        # If the process exits at this moment, its exit status counts. Otherwise the status would depend on timing.
        with contextlib.suppress(subprocess.TimeoutExpired):
            with contextlib.suppress(DockerExecError):  # the thread that writes output reports it
                self._process.wait(_READER_GONE_GRACE)
            return
        self._events.put(signal.SIGPIPE)

    # Input

    def _read_input(self) -> None:
        try:
            while data := self._read():
                if not self._send(data):
                    return
        except DockerExecError as error:
            self._events.put(Ending(OWN_FAILURE, str(error)))
            return
        self._send(b"")

    def _read_keys(self) -> None:
        assert self._escape is not None  # nosec B101  # for the type checker
        try:
            while data := self._read():
                if passed := self._escape.feed(data):
                    self._typed.put(passed)
                if self._escape.found:
                    self._events.put(Ending(OWN_FAILURE, "left by the escape; the command is ended"))
                    return
        except DockerExecError as error:
            self._events.put(Ending(OWN_FAILURE, str(error)))
            return
        self._typed.put(b"")

    def _send_keys(self) -> None:
        while self._send(self._typed.get()):
            pass

    def _read(self) -> bytes:
        while True:
            try:
                return os.read(0, _CHUNK)
            except BlockingIOError:
                _wait_for(0, select.POLLIN)
            except OSError as error:
                raise _failed("read from", 0, error) from error

    def _send(self, data: bytes) -> bool:
        """Send *data*, or end stdin if it is empty. Return whether the process may want more."""
        with contextlib.suppress(BrokenPipeError, DockerExecError):  # the thread that writes output reports why
            if data:
                self._process.stdin.write(data)
                self._process.stdin.flush()
                return True
            self._process.stdin.close()
        return False


def _wait_for(descriptor: int, event: int) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    poll.poll()


def _failed(what: str, descriptor: int, error: OSError) -> DockerExecError:
    return DockerExecError(f"cannot {what} {_NAMES[descriptor]}: {error.strerror}")
