"""Ending processes from within their container: a shell script, run by an exec, needs nothing on the engine's machine.

It finds every process that has one of the variables in /proc/PID/environ, the descendants of those and whatever shares
a session (setsid) with them, and signals them until none is left. Not even root can read the environment of other
users' processes there (it lacks CAP_SYS_PTRACE), so the script reports which users have such processes, and runs as
each of them too.
"""

import re
from collections.abc import Sequence

import gevent

from dockerexec_ws.engine.client import Engine
from dockerexec_ws.errors import EngineError, EngineUnavailableError, NoShellError
from dockerexec_ws.protocol.framing import FramingError, StreamDemultiplexer

_SEEN = re.compile(rb"^seen ?(.*)$", re.MULTILINE)
_LEFT = re.compile(rb"^left (\d{1,7})$", re.MULTILINE)
_USERS = re.compile(rb"^users((?: \d+:\d+)+)$", re.MULTILINE)

_MOST_USERS = 32  # as whom the script is run at once
_LONGEST = 64 * 1024  # bytes of its output, beside the markers

# What the runtime says when there is no program to run; for anything else it is worth another try.
_NO_SHELL = ("no such file", "not found", "permission denied", "exec format error")

# POSIX shell; beside its builtins only sleep, and grep if there is one: a shell reads files byte by byte. $1: tenths of
# a second between HUP and KILL, $2: until it gives up, $3: not empty if it must do without any fork, since there are no
# pids left; the rest: the variables, or how they begin. It prints "users" with its own user and those of the processes
# that it could not look into, as UID:GID; then, when it is done, "seen" with the variables that it met and "left" with
# the number of processes left.
_SCRIPT = r"""
grace=$1 patience=$2 forkless=$3; shift 3
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
forked() { # ends the script if its shell could not fork, as some do themselves
    [ "$1" -lt 125 ] || exit 3
}
find_marked() { # sets marks to the files of processes that carry one of the variables, and which
    if [ -n "$grep" ] && [ -n "$past_nul" ]; then
        marks=$(grep -aoHF "$markers" /proc/[0-9]*/environ $threads)
        forked $?
        return
    fi
    marks=
    for file in /proc/[0-9]*/environ $threads; do
        while IFS= read -r line || [ -n "$line" ]; do
            for marker; do case $line in *"$marker"*) marks="$marks $file:$marker"; break 2 ;; esac; done
        done <"$file"
    done
} 2>/dev/null
read_statuses() { # sets statuses to those of all processes; a name has its line breaks, if any, escaped there
    if [ -n "$grep" ]; then
        statuses=$(grep -hE '^(State|Pid|PPid|NSsid|Threads):' /proc/[0-9]*/status)
        forked $?
        return
    fi
    statuses=
    for file in /proc/[0-9]*/status; do
        while read -r line; do
            case $line in State:* | Pid:* | PPid:* | NSsid:* | Threads:*) statuses="$statuses $line" ;; esac
        done <"$file"
    done
} 2>/dev/null
find_all() { # sets found to the pids, between spaces
    read_statuses
    threads= # of processes whose first thread has ended, and with it its environ
    for word in $statuses; do
        case $key:$word in
            State:*) state=${word%:} ;;
            Pid:*) pid=$word ;;
            Threads:*:[01]) ;;
            Threads:*) [ "$state" != Z ] || threads="$threads /proc/$pid/task/*/environ" ;;
        esac
        key=$word
    done
    find_marked "$@"
    found=' '
    for pid in $marks; do
        marker=${pid#*:}
        case $seen in *" $marker "*) ;; *) seen="$seen$marker " ;; esac
        pid=${pid#/proc/}
        found="$found${pid%%/*} "
    done
    [ "$found$ours" != '  ' ] || return 0
    # At once, when the grace is over: those that fork all the time leave nobody else the time to go on.
    [ -z "$over" ] || kill -STOP $found 2>/dev/null
    alive=' ' # sessions that still have members: the number of one that has none may be somebody else's next
    for _ in 1 2; do # descendants and members of sessions; what is missed by now the next pass finds
        for word in $statuses; do
            case $key in
                State:) state=$word ;;
                Pid:) pid=$word ;;
                PPid:) parent=$word ;;
                NSsid:) session=$word ;;
            esac
            last=$key key=$word
            [ "$last" = Threads: ] || continue
            case $state$word:$pid in Z[01]:* | X*:* | *:1 | *:$$) continue ;; esac
            alive="$alive$session "
            case $found in
                *" $pid "*) case "$ours 0 " in *" $session "*) ;; *) ours="$ours$session " ;; esac ;;
                *" $parent "*) found="$found$pid " ;;
                *) case $ours in *" $session "*) found="$found$pid " ;; esac ;;
            esac
        done
    done
    left=' '
    for session in $ours; do
        case $alive in *" $session "*) left="$left$session " ;; esac
    done
    ours=$left
}
markers=
for marker; do
    markers="$markers${markers:+
}$marker"
done
grep= past_nul=
if [ -z "$forkless" ]; then
    grep=$(grep -hE '^Pid:' /proc/$$/status 2>/dev/null)
    past_nul=$(printf 'x\0%s' "$1" | grep -aoF "$1" 2>/dev/null) # of which busybox' sees nothing
fi
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
seen=' '
key=
tell_time
begin=$time
while [ $((time - begin)) -le "$patience" ]; do
    over=
    [ $((time - begin)) -lt "$grace" ] || over=1
    find_all "$@"
    [ "$found" != ' ' ] || break
    if [ -n "$over" ]; then
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
    [ -n "$forkless" ] || sleep 0.1 2>/dev/null || sleep 1
    tell_time
done
echo seen $seen
set -- $found
echo "left $#"
"""


class _BrokenOffError(EngineError):
    """The script ended without a report."""


class KillScript:
    """The script, run as the execs' user and, at the same time, as every other user who has processes it cannot see.

    *markers* are the variables (``NAME=VALUE``), or how they begin; *grace* is the seconds between SIGHUP and SIGKILL,
    *patience* those after that.
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
        self._users: set[str] = set()  # those that the script has run as, or does
        self._greenlets: list[gevent.Greenlet[..., int | EngineError]] = []

    def run(self) -> tuple[int, set[str]]:
        """Run to the end; return how many processes are left, and those of the markers that were seen.

        The streams of the processes' own execs have to stay open, and may be unread, meanwhile: closing them first
        makes the engine slow. Raises NoShellError, ContainerNotFoundError, EngineUnavailableError, EngineError.
        """
        try:
            with gevent.Timeout(
                self._deadline, EngineUnavailableError(f"the script did not report within {self._deadline:g} s")
            ):
                try:
                    left = self._run_as("")
                except _BrokenOffError:  # perhaps there are no pids left: at once then, with what a shell has itself
                    self._times[0], self._forkless = "0", "1"
                    left = self._run_as("")
                for greenlet in self._greenlets:  # which may start more of them
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
            output = b""
            reported = False
            # Not to the end of the stream: the engine can hold that back while another session's is unread.
            while not (left := _LEFT.search(output)):
                data = stream.read()
                if not data:
                    raise self._why(exec_id, output)
                output += b"".join(part for _, parts in demultiplexer.feed(data) for part in parts)
                if len(output) > self._longest:
                    raise EngineError("the script says what it never says: something in the container interferes")
                if not reported and (users := _USERS.search(output)):
                    reported = True
                    self._run_as_others(*users[1].decode().split())
            if seen := _SEEN.search(output):
                self._seen.update(seen[1].decode(errors="replace").split())
            return int(left[1])
        except FramingError as error:
            raise EngineError(str(error)) from error
        finally:
            stream.close()

    def _why(self, exec_id: str, output: bytes) -> EngineError:
        said = output[-200:].decode(errors="replace").strip()
        while not (state := self._engine.exec_state(exec_id)).ended:  # the engine does not order it after the output
            gevent.sleep(0.05)
        if state.never_started and any(text in said.lower() for text in _NO_SHELL):
            return NoShellError(f"the image has no usable /bin/sh ({said})")
        return _BrokenOffError(f"the script that ends processes broke off ({said})")

    def _run_as_others(self, own: str, *others: str) -> None:
        self._users.add(own)
        for user in sorted(set(others) - self._users)[:_MOST_USERS]:
            self._users.add(user)
            self._greenlets.append(gevent.spawn(self._try_as, user))

    def _try_as(self, user: str) -> int | EngineError:
        try:
            return self._run_as(user)
        except EngineError as error:  # raised in the greenlet that waits, where it is dealt with
            return error
