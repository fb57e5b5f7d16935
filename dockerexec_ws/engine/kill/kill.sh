#!/bin/sh
# Ends the processes that have one of some environment variables, their descendants, and all members of their sessions
# (setsid).
#
# sh -c "$(cat kill.sh)" sh GRACE PATIENCE FORKLESS VARIABLE...
#
#   GRACE     tenths of a second between SIGHUP and SIGKILL
#   PATIENCE  tenths of a second, from the beginning, after which the script gives up
#   FORKLESS  not empty if the script must not fork, because the container has no pids left
#   VARIABLE  NAME=VALUE, or how that begins
#
# Prints three lines:
#
#   users UID:GID...    first its own user, then those of the processes that it may not look into
#   seen VARIABLE...    those that any process had
#   left NUMBER         how many processes are left
#
# It runs under any POSIX shell, busybox's and dash too. Besides builtins it uses sleep, and grep if there is one,
# because a shell reads files byte by byte.
#
# Lists are strings of words, so they must not be quoted:
# shellcheck disable=SC2086

grace=$1 patience=$2 forkless=$3
shift 3

tell_time() { # sets time, in tenths of a second
    read -r time _ </proc/uptime
    time=${time%?}
    time=${time%.*}${time#*.}
}

user_of() { # sets user to the UID:GID of process $1: both have to match to look into it
    user=
    while read -r key value _; do
        case $key in
            Uid:) user=$value ;;
            Gid:)
                user=$user:$value
                return 0
                ;;
        esac
    done <"/proc/$1/status"
} 2>/dev/null

forked() { # ends the script if its shell could not fork; $1 is the status, and some shells then end by themselves
    [ "$1" -lt 125 ] || exit 3
}

find_marked() { # sets marks to FILE:VARIABLE for the processes that have one of the variables
    if [ -n "$grep" ] && [ -n "$past_nul" ]; then
        marks=$(grep -aoHF "$variables" /proc/[0-9]*/environ $threads)
        forked $?
        return
    fi
    marks=
    for file in /proc/[0-9]*/environ $threads; do
        while IFS= read -r line || [ -n "$line" ]; do
            for variable; do
                case $line in
                    *"$variable"*)
                        marks="$marks $file:$variable"
                        break 2
                        ;;
                esac
            done
        done <"$file"
    done
} 2>/dev/null

read_statuses() { # sets statuses to those of all processes; the kernel escapes line breaks in a process's name there
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

find_all() { # sets found to the pids to end, between spaces
    read_statuses
    threads= # of processes whose first thread has ended: the process's own environ is empty then
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
        variable=${pid#*:}
        case $seen in *" $variable "*) ;; *) seen="$seen$variable " ;; esac
        pid=${pid#/proc/}
        found="$found${pid%%/*} "
    done
    [ "$found$ours" != '  ' ] || return 0
    # Stop them at once after the grace: processes that fork all the time leave this script no time to go on.
    [ -z "$over" ] || kill -STOP $found 2>/dev/null
    alive=' ' # sessions that have members; the number of a session without members may be given to another one
    for _ in 1 2; do # add descendants and members of sessions; the next pass finds what these two rounds miss
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

variables= # one a line
for variable; do
    variables="$variables${variables:+
}$variable"
done

grep='' # not empty if there is a grep
past_nul='' # not empty if it finds what follows a NUL, which busybox' does not
if [ -z "$forkless" ]; then
    grep=$(grep -hE '^Pid:' /proc/$$/status 2>/dev/null)
    past_nul=$(printf 'x\0%s' "$1" | grep -aoF "$1" 2>/dev/null)
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

ours=' ' # sessions whose members are to be ended; only a process that is to be ended makes another such session
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
        kill -STOP $found # stop all of them first, so that none can answer the end of another with a new one
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
