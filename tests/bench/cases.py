"""The work to measure. A case runs on one target at a time and returns its figures by name."""

import contextlib
import multiprocessing
import random
import select
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.bench.load import TIMEOUT, SessionFailedError
from tests.bench.targets import Cli, Here, Library, Original, Raw

MB = 1e6
SEED = 20260115


def stdout_of_one(target, sizes):
    """Measure one session's output, from its first byte to its exit code."""
    return _stdout(target, sizes.stdout, 1)


def stdout_of_four(target, sizes):
    """Measure the output of four sessions at a time."""
    return _stdout(target, sizes.stdout // 4, 4)


def _stdout(target, size, count):
    with contextlib.ExitStack() as stack:
        sessions = [_open(stack, target, "head", "-c", str(size), "/dev/zero") for _ in range(count)]
        cpu = target.cpu()
        begin = time.monotonic()
        if count == 1:
            sessions[0].drain()
        else:
            _drain_together(sessions)
        seconds = time.monotonic() - begin
        for session in sessions:
            if (session.received, session.exit_code) != (size, 0):
                raise SessionFailedError(f"{session.received} bytes of {size}")
        stack.close()  # docker exec's CPU time is known only after its end
        return {"MB/s": size * count / MB / seconds} | _cpu(target, cpu, size * count)


def _drain_together(sessions):
    running = set(sessions)
    while running:
        readable = select.select(list(running), [], [], TIMEOUT)[0]
        if not readable:
            raise SessionFailedError("hung")
        for session in readable:
            session.read()
            if session.exit_code is not None:
                running.remove(session)


def stdin_of_one(target, sizes):
    """Measure one session's input, until the process has exited."""
    with contextlib.ExitStack() as stack:
        session = _open(stack, target, "sh", "-c", "cat >/dev/null")
        cpu = target.cpu()
        begin = time.monotonic()
        session.write(bytes(sizes.stdin))
        session.end()
        session.drain()
        seconds = time.monotonic() - begin
        stack.close()
        return {"MB/s": sizes.stdin / MB / seconds} | _cpu(target, cpu, sizes.stdin)


def _cpu(target, before, size):
    return {} if before is None else {"CPU s/GB": (target.cpu() - before) * 1e9 / size}


def echo(target, sizes):
    """Measure the time from typing a byte until it comes back."""
    with contextlib.ExitStack() as stack:
        return _latencies(_keystrokes(_open(stack, target, "cat"), sizes.keystrokes))


def echo_beside_streams(target, sizes):
    """Measure the echo beside three sessions that stream without end."""
    stop, streamed = multiprocessing.Event(), multiprocessing.Value("Q")
    with contextlib.ExitStack() as stack:
        session = _open(stack, target, "cat")
        drainer = multiprocessing.Process(target=_drain_three, args=(target, stop, streamed))
        drainer.start()
        stack.callback(drainer.join, TIMEOUT)
        stack.callback(stop.set)
        deadline = time.monotonic() + TIMEOUT
        while not streamed.value:
            if time.monotonic() > deadline:
                raise SessionFailedError("the streams did not start")
            time.sleep(0.01)
        begin, before = time.monotonic(), streamed.value
        figures = _latencies(_keystrokes(session, sizes.keystrokes))
        rate = (streamed.value - before) / MB / (time.monotonic() - begin)
        return figures | {"MB/s beside": rate}


def _drain_three(target, stop, streamed):
    with contextlib.ExitStack() as stack:
        sessions = [_open(stack, target, "cat", "/dev/zero") for _ in range(3)]
        while not stop.is_set():
            for session in select.select(sessions, [], [], 0.1)[0]:
                session.read()
            streamed.value = sum(session.received for session in sessions)


def _keystrokes(session, count):
    latencies = []
    for _ in range(count):
        before = session.received
        begin = time.perf_counter()
        session.write(b"x")
        session.read_until(lambda before=before: session.received > before)
        latencies.append(time.perf_counter() - begin)
    return latencies


def _latencies(seconds):
    return {"p50 ms": _percentile(seconds, 50) * 1000, "p99 ms": _percentile(seconds, 99) * 1000}


def _percentile(values, percent):
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def start(target, sizes):
    """Measure a session that runs ``true``, until its exit code, in turn with the engine's own."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(Raw(target.api))
        theirs, engines = [], []
        for _ in range(sizes.starts):
            engines.append(_time_of_true(raw))
            theirs.append(_time_of_true(target))
    share = statistics.median(theirs) - statistics.median(engines)
    return {"p50 ms": statistics.median(theirs) * 1000, "own share ms": share * 1000}


def _time_of_true(target):
    begin = time.perf_counter()
    session = target.open(["true"])
    try:
        session.drain()
        return time.perf_counter() - begin
    finally:
        session.close()


def sessions_per_second(target, sizes):
    """Measure sessions that run ``true``, eight at a time."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: _time_of_true(target), range(sizes.sessions)):
            pass
    return {"1/s": sizes.sessions / (time.perf_counter() - begin)}


def idle_sessions(target, sizes):
    """Measure many idle sessions: their memory, and the time of a keystroke among them."""
    with contextlib.ExitStack() as stack:
        memory, _ = target.memory()
        one = _open(stack, target, "cat")
        alone = _keystrokes(one, sizes.keystrokes)
        sessions = [_open(stack, target, "cat") for _ in range(sizes.idle)]
        per_session = (target.memory()[0] - memory) / (sizes.idle + 1)
        among = _keystrokes(one, sizes.keystrokes)
        begin = time.perf_counter()
        for session in sessions:
            session.write(b"x")
        waiting = set(sessions)
        while waiting:
            readable = select.select(list(waiting), [], [], TIMEOUT)[0]
            if not readable:
                raise SessionFailedError("hung")
            for session in readable:
                session.read()
            waiting = {session for session in waiting if not session.received}
        return {
            "kB/session": per_session / 1000,
            "all answer ms": (time.perf_counter() - begin) * 1000,
            "p50 ms alone": _percentile(alone, 50) * 1000,
            "p50 ms": _percentile(among, 50) * 1000,
            "p99 ms alone": _percentile(alone, 99) * 1000,
            "p99 ms": _percentile(among, 99) * 1000,
        }


def memory_after_streaming(target, sizes):
    """Measure the server's memory after much data was streamed."""
    with contextlib.ExitStack() as stack:
        session = _open(stack, target, "head", "-c", str(sizes.streamed), "/dev/zero")
        session.drain()
        if session.received != sizes.streamed:
            raise SessionFailedError(f"{session.received} bytes of {sizes.streamed}")
    now, most = target.memory()
    return {"MB": now / MB, "MB at most": most / MB}


def stalled_reader(target, sizes):
    """Measure the server's memory for sessions whose output nobody reads."""
    with contextlib.ExitStack() as stack:
        before, _ = target.memory()
        for _ in range(sizes.stalled):
            _open(stack, target, "cat", "/dev/zero")
        last, now = before, target.memory()[0]
        deadline = time.monotonic() + TIMEOUT
        while abs(now - last) > MB and time.monotonic() < deadline:
            time.sleep(1)
            last, now = now, target.memory()[0]
        return {"MB/session": (target.memory()[1] - before) / MB / sizes.stalled}


def random_pauses(target, sizes):
    """Run sessions whose reader stops at random, sometimes with a 101; count those that never end."""
    hung = runs = 0
    for number in range(sizes.paused_runs):
        choose = random.Random(SEED + number)
        runs += 1
        try:
            with contextlib.ExitStack() as stack:
                _read_with_pauses(_open(stack, target, "head", "-c", str(sizes.paused), "/dev/zero"), choose)
        except SessionFailedError:
            hung += 1
            target.clean()
            if hung == 3:  # three are enough
                break
    return {"hung": hung, "runs": runs}


def _read_with_pauses(session, choose):
    while session.exit_code is None:
        if choose.random() < 0.01:
            if told := choose.random() < 0.5:
                session.pause()
            for _ in range(choose.randrange(20) if told else 0):  # read some of the data that is on its way
                if session.exit_code is None and select.select([session], [], [], 0)[0]:
                    session.read()
            time.sleep(choose.random() * 0.05)
            if told:
                with contextlib.suppress(OSError):
                    session.resume()
        if session.exit_code is None:
            session.read()


def _open(stack, target, *argv):
    session = target.open(list(argv))
    stack.callback(session.close)
    return session


@dataclass(frozen=True)
class Case:
    """One row of the benchmark. A *fresh* case gets its own server; *once* limits the slowest to one run."""

    title: str
    run: object
    targets: tuple[type, ...] = (Here, Original, Cli, Raw)
    fresh: bool = False
    once: bool = False


SERVERS = (Here, Original)
WITH_LIBRARY = (Here, Library, Original, Cli, Raw)

CASES = {
    "stdout": Case("stdout of one session", stdout_of_one, WITH_LIBRARY),
    "stdout-4": Case("stdout of four sessions", stdout_of_four),
    "stdin": Case("stdin of one session", stdin_of_one, WITH_LIBRARY),
    "echo": Case("1-byte echo", echo),
    "echo-beside": Case("1-byte echo beside 3 streaming sessions", echo_beside_streams),
    "start": Case("start of a session, to its exit code", start, (Here, Original, Cli)),
    "sessions": Case("sessions, 8 at a time", sessions_per_second, (Here, Original, Cli)),
    "idle": Case("idle sessions", idle_sessions, SERVERS, fresh=True, once=True),
    "streamed": Case("memory after streaming", memory_after_streaming, SERVERS, fresh=True, once=True),
    "stalled": Case("memory with stalled readers", stalled_reader, SERVERS, fresh=True, once=True),
    "pauses": Case("a reader that pauses at random", random_pauses, SERVERS, fresh=True, once=True),
}
