"""One list of scenarios against the original server and this one, over the wire.

Both servers have to do what ``here`` says. Where the original differs, ``original`` says how and ``reason`` says why.
A scenario without ``original`` differs at most in the end of the connection: the original has no close handshake, and
its clients see 1006.
"""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.interop.scenarios import (
    END,
    NO_CLOSE_FRAME,
    PAUSE,
    RESUME,
    SHUTDOWN,
    SIZE,
    Scenario,
    beside_another,
    error,
    events,
    exit_while_paused,
    held_output,
    left_by_a_client_that_vanished,
    long_resize,
    raw,
    resize,
    session,
    session_limit,
    shutdown,
    stdin,
    until,
    until_message,
    wrong_path,
)
from tests.interop.servers import Containing, Here, Original, Outcome, exited
from tests.peer import READY

MIB = 1024 * 1024
EMPTY_CLOSE_FRAME = 1005


@pytest.fixture
def here(serve, docker_api, container):
    return Here(serve, docker_api, container)


@pytest.fixture
def original(run_node, docker_api, docker_host, original_container):
    parts = urlsplit(docker_host)
    if parts.scheme != "unix":
        pytest.skip(f"the original takes only an engine at a unix socket, not {docker_host}")
    return Original(run_node, docker_api, original_container, parts.path)


CRASHED = Outcome(messages=(READY,), close_code=NO_CLOSE_FRAME)
ALL_BYTES = bytes(range(256))
# On a terminal, `cat` shows typed text twice: as echo and as output.
TYPED = b"typed\r\ntyped\r\n"

SCENARIOS = [
    # Opening
    Scenario("one word", session("whoami"), Outcome(b"root\n")),
    Scenario("several words", session("printf", "<%s>", "a b", "", "c"), Outcome(b"<a b><><c>")),
    Scenario(
        "plus and %20 are spaces",
        session(query="command=printf&command=%3C%25s%3E&command=a+b&command=c%20d"),
        Outcome(b"<a b><c d>"),
    ),
    *(
        Scenario(f"query {query!r}", session(query=f"{query}&command=test&command=-t&command=0"), outcome)
        for query, outcome in {
            "tty=true": Outcome(),
            "tty=TRUE": Outcome(),
            "tty=false": Outcome(messages=(READY, exited(1))),
            "tty=1": Outcome(messages=(READY, exited(1))),
            "": Outcome(messages=(READY, exited(1))),
        }.items()
    ),
    Scenario(
        "wrapper command",
        session("echo", "b c"),
        Outcome(b"a b c\n"),
        options={"wrapper_command": ["bash", "-c", 'echo a "$(exec "$@")"', "bash"]},
    ),
    Scenario(
        "no command",
        session(query="tty=false"),
        Outcome(messages=(Containing(b"no command was given"),), close_code=1008),
        Outcome(Containing(b"exec failed"), messages=(READY, exited(126)), close_code=NO_CLOSE_FRAME),
        "the original runs it, and the engine's text comes as the process's output",
    ),
    Scenario("wrong path", wrong_path, 404, 400, "404 is the status of a path that is not there"),
    Scenario(
        "session limit",
        session_limit,
        Outcome(messages=(error("Too many sessions active!"),), close_code=1013),
        Outcome(messages=(error("Too many sessions active!"),), close_code=EMPTY_CLOSE_FRAME),
        "the original closes without a code",
        options={"max_sessions": 1},
    ),
    Scenario(
        "input before the first 100",
        session("cat", early=[stdin(b"early ")], steps=[stdin(b"late"), END]),
        Outcome(b"early late"),
        Outcome(b"late", close_code=NO_CLOSE_FRAME),
        "the original loses it",
    ),
    Scenario(
        "foreign Origin",
        session("true", headers=[("Origin", "http://elsewhere.example")]),
        403,
        Outcome(close_code=NO_CLOSE_FRAME),
        "the original lets any web page in",
    ),
    # Messages
    Scenario("stdin and end", session("cat", steps=[stdin(b"a"), stdin(b"b\n"), END]), Outcome(b"ab\n")),
    Scenario("end without stdin", session("wc", "-c", steps=[END]), Outcome(b"0\n")),
    Scenario("text messages", session("cat", steps=["\0text \u00e9", "\x66"]), Outcome("text \u00e9".encode())),
    Scenario("binary", session("cat", steps=[stdin(ALL_BYTES), END]), Outcome(ALL_BYTES)),
    Scenario(
        "8 MiB and 1 byte in one message",
        # The process reads late. Otherwise how often it is told to go on depends on how fast it reads.
        session("bash", "-c", "sleep 1; wc -c", steps=[stdin(bytes(8 * MIB + 1)), until_message(RESUME), END]),
        Outcome(b"8388609\n", messages=(READY, PAUSE, RESUME, exited(0))),
    ),
    Scenario(
        "a message above the limit",
        session("bash", "-c", f"head -c {16 * MIB} | wc -c", steps=[stdin(bytes(16 * MIB))]),
        Outcome(messages=(READY,), close_code=1009),
        Outcome(b"16777216\n", messages=(READY, PAUSE, RESUME, exited(0)), close_code=NO_CLOSE_FRAME),
        "the limit is 16 MiB here, the code included, and 100 MiB in the original",
    ),
    Scenario("1 MB of output", session("head", "-c", "1000000", "/dev/zero"), Outcome(bytes(1_000_000))),
    Scenario("stderr", session("bash", "-c", "echo out; echo err >&2"), Outcome(b"out\n", b"err\n")),
    Scenario(
        "stderr with a tty", session("bash", "-c", "echo out; echo err >&2", tty=True), Outcome(b"out\r\nerr\r\n")
    ),
    *(
        Scenario(f"exit code {code}", session("bash", "-c", f"exit {code}"), Outcome(messages=(READY, exited(code))))
        for code in (1, 9, 127, 128, 255)
    ),
    Scenario("killed process", session("bash", "-c", "kill -KILL $$"), Outcome(messages=(READY, exited(137)))),
    Scenario(
        "exit code of a shell with a tty",
        session("bash", "--norc", tty=True, steps=[stdin(b"exit 9\n")]),
        Outcome(Containing(b"exit 9"), messages=(READY, exited(9))),
    ),
    Scenario(
        "unknown code, empty message",
        session("cat", steps=[b"", b"\x07", b"\xff unknown", stdin(b"goes on"), END]),
        Outcome(b"goes on"),
    ),
    Scenario("shutdown", shutdown, Outcome(messages=(READY, SHUTDOWN), close_code=1001)),
    # Flow control
    Scenario("output held by a pause", held_output, Outcome(b"out\n", b"err\n")),
    Scenario(
        "exit while paused",
        exit_while_paused,
        Outcome(b"out\n", messages=(READY, exited(3))),
        Outcome(messages=(READY,), close_code=NO_CLOSE_FRAME),
        "the original cuts the connection and loses output and exit code",
    ),
    # Cases
    Scenario(
        "resize",
        session("bash", "-c", SIZE, tty=True, steps=[until(b"ready\r\n"), resize(33, 300)]),
        Outcome(b"ready\r\n33 300\r\n"),
    ),
    Scenario(
        "resize without a tty",
        session("cat", steps=[resize(24, 80), stdin(b"goes on"), END]),
        Outcome(b"goes on", messages=(READY, error("cannot resize, not a tty instance"), exited(0))),
    ),
    Scenario(
        "short resize",
        session("bash", "-c", SIZE, tty=True, steps=[until(b"ready\r\n"), b"\x32\x18\x00", resize(24, 80)]),
        Outcome(b"ready\r\n24 80\r\n", messages=(READY, Containing(b"resize message"), exited(0))),
        Outcome(b"ready\r\n", messages=(READY,), close_code=NO_CLOSE_FRAME),
        "the original drops the connection",
    ),
    Scenario(
        "long resize",
        long_resize,
        Outcome(b"ready\r\n24 80\r\n", messages=(READY, Containing(b"resize message"), exited(0))),
        Outcome(b"ready\r\n33 300\r\n", close_code=NO_CLOSE_FRAME),
        "the original takes the first four bytes",
    ),
    Scenario(
        "unmasked frame",
        beside_another("cat", steps=[raw(b"\x82\x02\x00x")]),
        (Outcome(messages=(READY,), close_code=1002), Outcome(b"fine\n")),
        (Outcome(messages=(READY,), close_code=1002), CRASHED),
        "the original's process crashes, for everybody",
    ),
    Scenario(
        "text that is not UTF-8",
        beside_another("cat", steps=[raw(b"\x81\x82\0\0\0\0\x00\xff")]),
        (Outcome(messages=(READY,), close_code=1007), Outcome(b"fine\n")),
        (Outcome(messages=(READY,), close_code=1007), CRASHED),
        "the original's process crashes, for everybody",
    ),
    Scenario(
        "stdin after end",
        beside_another(
            "bash",
            "-c",
            "rm -f /tmp/over; cat; until test -e /tmp/over; do sleep 0.05; done; echo goes on",
            steps=[stdin(b"before "), until(b"before "), END, stdin(b"late")],
        ),
        (Outcome(b"before goes on\n", messages=(READY, error("stdin is closed"), exited(0))), Outcome(b"fine\n")),
        (replace(CRASHED, stdout=b"before ", messages=(READY, PAUSE)), CRASHED),
        "the original's process crashes, for everybody",
    ),
    Scenario(
        "end with a tty after a whole line",
        session("bash", "-c", "cat; echo bye; exit 5", tty=True, steps=[stdin(b"typed\n"), until(TYPED), END]),
        Outcome(TYPED + b"bye\r\n", messages=(READY, exited(5))),
        Outcome(TYPED, close_code=NO_CLOSE_FRAME),
        "the original tears the stream down and reports an exit that was none",
    ),
    Scenario(
        "end with a tty within a line",
        session("bash", "-c", "cat; echo bye; exit 5", tty=True, steps=[stdin(b"typed"), until(b"typed"), END]),
        Outcome(b"typedtypedbye\r\n", messages=(READY, exited(5))),
        Outcome(b"typed", close_code=NO_CLOSE_FRAME),
        "the original tears the stream down and reports an exit that was none",
    ),
    Scenario(
        "command not found",
        session("no-such-command"),
        Outcome(stderr=Containing(b"no-such-command"), messages=(READY, exited(126))),
        Outcome(Containing(b"no-such-command"), messages=(READY, exited(126)), close_code=NO_CLOSE_FRAME),
        "the original gives the runtime's text as the process's output",
    ),
    Scenario(
        "command not executable",
        session("/etc/passwd"),
        Outcome(stderr=Containing(b"permission denied"), messages=(READY, exited(126))),
        Outcome(Containing(b"permission denied"), messages=(READY, exited(126)), close_code=NO_CLOSE_FRAME),
        "the original gives the runtime's text as the process's output",
    ),
    Scenario(
        "command not found with a tty",
        session("no-such-command", tty=True),
        Outcome(Containing(b"no-such-command"), messages=(READY, exited(126))),
    ),
    Scenario(
        "process after its client vanished",
        left_by_a_client_that_vanished,
        False,
        True,
        "the original leaves it",
        options={"max_sessions": 1},
    ),
    # The server object
    Scenario(
        "events",
        events,
        [{"event": "session"}, {"event": "session added", "count": 1}, {"event": "session removed", "count": 0}],
    ),
]


# The original runs alone, because on a busy machine it may hang: fast output to a slow client deadlocks it.
@pytest.mark.parametrize("side", ["here", pytest.param("original", marks=pytest.mark.alone)])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(scenario, side, request):
    server = request.getfixturevalue(side)
    server.start(**scenario.options)
    assert scenario.run(server) == scenario.expected(side)
