"""Ending processes from within their container, by a shell script. It needs nothing on the engine's machine.

The script (kill.sh) finds every process that has one of the markers in /proc/PID/environ, the descendants of those and
all members of their sessions (setsid), and signals them until none is left. In a container not even root can read the
environment of other users' processes (it lacks CAP_SYS_PTRACE). The script therefore reports which users have such
processes, and runs as each of them too.
"""

from collections.abc import Sequence
from pathlib import Path

import gevent

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.kill.report import Report
from dockerexec_ws.errors import EngineError, EngineUnavailableError, NoShellError
from dockerexec_ws.protocol.engine_framing import FramingError, StreamDemultiplexer
from dockerexec_ws.protocol.events import Stream

_SCRIPT = Path(__file__).with_name("kill.sh").read_text()

_MOST_USERS = 32  # as which the script runs at once
_LONGEST = 64 * 1024  # bytes of output, besides the markers

# What the runtime says if there is no program to run. After any other error it is worth trying again.
_NO_SHELL = ("no such file", "not found", "permission denied", "exec format error")


class _BrokenOffError(EngineError):
    """The script ended without a report."""


class KillScript:
    """The script, run as the container's user and, at the same time, as all users whose processes that one cannot see.

    *markers* are ``NAME=VALUE``, or how that begins. *grace* is the seconds between SIGHUP and SIGKILL. The script
    gives up *patience* seconds after the grace.
    """

    def __init__(
        self, engine: Engine, container: str, markers: Sequence[str], *, grace: float, patience: float
    ) -> None:
        self._engine = engine
        self._container = container
        self._markers = list(markers)
        self._times = [str(round(10 * seconds)) for seconds in (grace, grace + patience)]
        self._forkless = ""
        self._deadline = grace + patience + engine.timeout
        self._longest = _LONGEST + sum(map(len, markers))
        self._seen: set[str] = set()
        self._users: set[str] = set()  # those as which the script has run or runs
        self._greenlets: list[gevent.Greenlet[..., int | EngineError]] = []

    def run(self) -> tuple[int, set[str]]:
        """Run to the end. Returns how many processes are left, and which of the markers any process had.

        The streams of the processes' own execs must stay open meanwhile, and may be unread. Closing them first would
        slow the engine down. Raises NoShellError, ContainerNotFoundError, EngineUnavailableError, EngineError.
        """
        try:
            with gevent.Timeout(
                self._deadline, EngineUnavailableError(f"the script did not report within {self._deadline:g} s")
            ):
                try:
                    left = self._run_as("")
                except _BrokenOffError:  # perhaps no pids are left: use only builtins, and leave no grace
                    self._times[0], self._forkless = "0", "1"
                    left = self._run_as("")
                for greenlet in self._greenlets:  # each may start more of them
                    others = greenlet.get()
                    if isinstance(others, EngineError):
                        raise others
                    left += others or 0
        finally:
            gevent.killall(self._greenlets, block=False)
        return left, self._seen

    def _run_as(self, user: str) -> int:
        argv = ["/bin/sh", "-c", _SCRIPT, "sh", *self._times, self._forkless, *self._markers]
        exec_id = self._engine.create_exec(self._container, argv, environment=[], user=user)
        stream = self._engine.start_exec(exec_id, tty=False)
        try:
            demultiplexer = StreamDemultiplexer()
            report = Report()
            knows_users = False
            output = b""  # stdout and stderr, for an error's text
            # Do not read to the end of the stream: the engine can hold it back while another exec's output is unread.
            while report.left is None:
                data = stream.read()
                if not data:
                    raise self._why(exec_id, output)
                for name, parts in demultiplexer.feed(data):
                    piece = b"".join(parts)
                    output += piece
                    if name is Stream.STDOUT:
                        report.feed(piece)
                if len(output) > self._longest:
                    raise EngineError("the script's report is too long: something in the container interferes")
                if report.users and not knows_users:
                    knows_users = True
                    self._run_as_others(report.users)
            self._seen.update(report.seen)
            return report.left
        except FramingError as error:
            raise EngineError(str(error)) from error
        finally:
            stream.close()

    def _why(self, exec_id: str, output: bytes) -> EngineError:
        """Return the reason why the script ended without a report."""
        said = output[-200:].decode(errors="replace").strip()
        while not (state := self._engine.exec_state(exec_id)).ended:  # the engine may tell it after the output's end
            gevent.sleep(0.05)
        if state.never_started and any(text in said.lower() for text in _NO_SHELL):
            return NoShellError(f"the image has no usable /bin/sh ({said})")
        return _BrokenOffError(f"the script that ends processes ended without a report ({said})")

    def _run_as_others(self, users: Sequence[str]) -> None:
        """Run the script as each of *users*, the first of which it runs as already."""
        self._users.update(users[:1])
        # The limit is for all runs together: a hostile container could name new users in each report.
        for user in sorted(set(users) - self._users)[: max(_MOST_USERS - len(self._greenlets), 0)]:
            self._users.add(user)
            self._greenlets.append(gevent.spawn(self._try_as, user))

    def _try_as(self, user: str) -> int | EngineError:
        try:
            return self._run_as(user)
        except EngineError as error:  # raised in the greenlet that waits and can handle it
            return error
