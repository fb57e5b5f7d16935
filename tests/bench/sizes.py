"""The amount of work to measure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The numbers of bytes, sessions, keystrokes and runs of the cases."""

    stdout: int = 10**9
    stdin: int = 500 * 10**6
    keystrokes: int = 1000
    starts: int = 50
    sessions: int = 100
    idle: int = 500
    streamed: int = 10 * 10**9
    stalled: int = 10
    paused: int = 300 * 10**6
    paused_runs: int = 100


QUICK = Sizes(
    stdout=2 * 10**8,
    stdin=10**8,
    keystrokes=200,
    starts=10,
    sessions=20,
    idle=20,
    streamed=5 * 10**8,
    stalled=3,
    paused=5 * 10**7,
    paused_runs=4,
)
