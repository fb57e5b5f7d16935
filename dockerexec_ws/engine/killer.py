"""Ends the processes of a session: the engine has no way to (moby issues 9098, 35703), so a second exec does it.

Each session's processes carry a random environment variable, which their children inherit. A shell script that runs in
the container finds every process with it in /proc/PID/environ, the descendants of those and whatever shares a session
(setsid) with them, and signals them until none is left. Not even root can read the environment of other users'
processes there (it lacks CAP_SYS_PTRACE), so the script reports which users have such processes, and runs as each of
them too. It needs a shell in the image and nothing on the host, so it works with a remote engine.

What escapes is a process that cleared its environment and has no parent of the session left: reparented and in a
session of its own, or the exec's first process itself.
"""

import logging
import re

import gevent
from gevent.event import AsyncResult

from dockerexec_ws.engine.client import Engine
from dockerexec_ws.errors import ContainerNotFoundError, DockerExecError, EngineError
from dockerexec_ws.protocol.framing import StreamDemultiplexer

logger = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds between SIGHUP and SIGKILL."""

TIMEOUT = 20.0
"""Seconds within which the script has to report."""

GATHER = 0.02
"""Seconds to wait for more sessions that end at the same moment: one script then ends all of them."""

_LEFT = re.compile(rb"^left (\d+)$", re.MULTILINE)
_USERS = re.compile(rb"^users (.*)$", re.MULTILINE)

# POSIX shell, builtins only, but for sleep. $1: tenths of a second between HUP and KILL; the rest: the variables.
# Prints "users" with its own user and those of the processes that it could not look into, as UID:GID; then, when it is
# done, "left" and the number of processes left.
_SCRIPT = r"""
grace=$1; shift
tell_time() { # sets time, in tenths of a second
    read -r time _ </proc/uptime
    time=${time%?}
    time=${time%.*}${time#*.}
}
user_of() { # sets user to the numbers of a process's user and group: both have to match to look into it
    user=
    while read -r key value _; do
        case $key in Uid:) user=$value ;; Gid:) user=$user:$value; return 0 ;; esac
    done </proc/$1/status
} 2>/dev/null
marked() { # the processes that carry one of the variables; no grep: busybox' sees nothing beyond the first NUL
    for file in /proc/[0-9]*/environ; do
        while IFS= read -r line || [ -n "$line" ]; do
            for marker; do case $line in *"$marker"*) echo "$file"; break 2 ;; esac; done
        done <"$file"
    done 2>/dev/null
}
find_all() { # sets found to the pids, between spaces
    found=' '
    for file in $(marked "$@"); do
        file=${file#/proc/}
        found="$found${file%/environ} "
    done
    [ "$found$ours" != '  ' ] || return 0
    for _ in 1 2; do # descendants and members of sessions; what is missed by now the next pass finds
        for file in /proc/[0-9]*/stat; do
            stat= # all of it: the program's name, in parentheses, may have line breaks
            while read -r line || [ -n "$line" ]; do stat="$stat $line"; done <"$file"
            pid=${file#/proc/}
            pid=${pid%/stat}
            set -- ${stat##*) } # state, parent, process group, session
            [ $# -ge 4 ] || continue
            case $1:$pid in Z:* | X:* | *:1 | *:$$) continue ;; esac
            case $found in
                *" $pid "*) case "$ours 0 " in *" $4 "*) ;; *) ours="$ours$4 " ;; esac ;;
                *" $2 "*) found="$found$pid " ;;
                *) case $ours in *" $4 "*) found="$found$pid " ;; esac ;;
            esac
        done 2>/dev/null
    done
}
user_of $$
users=" $user "
for file in /proc/[0-9]*/environ; do
    if ! { true <"$file"; } 2>/dev/null; then
        pid=${file#/proc/}
        user_of "${pid%/environ}"
        case $users in *" $user "*) ;; *) users="$users$user " ;; esac
    fi
done
echo users $users
ours=' ' # sessions (setsid) whose members are ours: a new one is only ever made by a process that is
hung_up=' '
tell_time
begin=$time
while [ $((time - begin)) -lt 150 ]; do
    find_all "$@"
    [ "$found" != ' ' ] || break
    if [ $((time - begin)) -ge "$grace" ]; then
        kill -STOP $found # all of them, before one can answer the end of another with a new one
        kill -KILL $found
    else
        for pid in $found; do
            case "$hung_up" in *" $pid "*) continue ;; esac
            hung_up="$hung_up$pid "
            kill -HUP "$pid"
            kill -CONT "$pid"
        done
    fi 2>/dev/null
    sleep 0.1 2>/dev/null || sleep 1
    tell_time
done
set -- $found
echo "left $#"
"""


class Killer:
    """Ends sessions' processes on one engine; sessions that end at the same moment share one script."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._batches: dict[str, list[tuple[str, AsyncResult[bool]]]] = {}

    def end(self, container: str, marker: str) -> bool:
        """End every process of *container* whose environment has *marker* (``NAME=VALUE``); wait until it is done.

        The session's own stream has to stay open, and may be unread, until this returns: closing it first makes the
        engine slow. Returns False, and logs why, if processes may be left.
        """
        result: AsyncResult[bool] = AsyncResult()
        batch = self._batches.setdefault(container, [])
        batch.append((marker, result))
        if len(batch) == 1:
            gevent.spawn_later(GATHER, self._run, container)
        return bool(result.get())

    def _run(self, container: str) -> None:
        batch = self._batches.pop(container)
        done = False
        timeout = gevent.Timeout(TIMEOUT)
        try:
            with timeout:
                left = _Run(self._engine, container, [marker for marker, _ in batch]).left()
            done = left == 0
            if not done:
                logger.error("%d processes of ended sessions are left in container %s", left, container)
        except ContainerNotFoundError:
            done = True  # and with the container all its processes are gone
        except (DockerExecError, gevent.Timeout) as error:
            why = f"no report within {TIMEOUT} s" if error is timeout else error
            logger.error("processes of %d ended sessions may be left in container %s: %s", len(batch), container, why)
        finally:
            for _, result in batch:
                result.set(done)


class _Run:
    """The script, run as the execs' user and, at the same time, as every other user who has processes it cannot see."""

    def __init__(self, engine: Engine, container: str, markers: list[str]) -> None:
        self._engine = engine
        self._container = container
        self._markers = markers
        self._users: set[str] = set()  # those that the script has run as, or does
        self._greenlets: list[gevent.Greenlet[..., int | EngineError]] = []

    def left(self) -> int:
        """Run to the end; return how many processes are left. Raises EngineError."""
        try:
            left = self._run_as("")
            for greenlet in self._greenlets:  # which may start more of them
                others = greenlet.get()
                if isinstance(others, EngineError):
                    raise others
                left += others or 0
        finally:
            gevent.killall(self._greenlets, block=False)
        return left

    def _run_as(self, user: str) -> int:
        argv = ["/bin/sh", "-c", _SCRIPT, "sh", str(round(GRACE * 10)), *self._markers]
        stream = self._engine.start_exec(
            self._engine.create_exec(self._container, argv, environment=[], user=user), tty=False
        )
        try:
            demultiplexer = StreamDemultiplexer()
            output = b""
            reported = False
            # Not to the end of the stream: the engine can hold that back while another session's is unread.
            while not (left := _LEFT.search(output)):
                data = stream.read()
                if not data:
                    said = output[-200:].decode(errors="replace").strip()
                    raise EngineError(f"the image has no usable shell, or it was killed ({said})")
                output += b"".join(part for _, parts in demultiplexer.feed(data) for part in parts)
                if not reported and (users := _USERS.search(output)):
                    reported = True
                    self._run_as_others(*users[1].decode().split())
            return int(left[1])
        finally:
            stream.close()

    def _run_as_others(self, own: str, *others: str) -> None:
        self._users.add(own)
        for user in set(others) - self._users:
            self._users.add(user)
            self._greenlets.append(gevent.spawn(self._try_as, user))

    def _try_as(self, user: str) -> int | EngineError:
        try:
            return self._run_as(user)
        except EngineError as error:  # raised in the greenlet that waits, where it is dealt with
            return error
