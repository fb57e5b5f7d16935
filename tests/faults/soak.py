"""Mix all faults for a given time. ``bin/soak`` installs what is missing and runs this."""

from gevent import monkey

monkey.patch_all()

import contextlib
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict

import click
import docker
import gevent

from tests.faults import harms, scenarios
from tests.faults.bystander import Bystander
from tests.faults.census import RETRIED, ServerProcess, assert_no_traceback, wait_until_back, warm_up
from tests.peer import Peer
from tests.private_engine import NAME, private_engine

ENGINE_TIMEOUT = 3
DESCRIPTORS = 400
OPTIONS = ["--max-sessions", 200, "--engine-timeout", ENGINE_TIMEOUT, "--handshake-timeout", 8, "--log-level", "debug"]
STREAMS = [["cat", "/dev/zero"], ["yes"]]


class Soak:
    """A server on a private *engine* with its log on a separate *disk*: harms them and records what is left."""

    def __init__(self, server, engine, api, disk, rng):
        self.counts = Counter()
        self.failures = []
        self.longest_echo = 0.0
        self._server = server
        self._engine = engine
        self._api = api
        self._disk = disk
        self._rng = rng
        self._unstarted = 0  # execs that the engine keeps until its container ends
        self.before = self.after = warm_up(server, api)

    def run(self, deadline):
        """Run rounds until the *deadline*; the last round is completed."""
        harms_to_do = []
        while time.monotonic() < deadline and self._server.process.poll() is None:
            harms_to_do = harms_to_do or self._rng.sample(HARMS, len(HARMS))
            for part in (Soak.clients, harms_to_do.pop()):
                self._do(part)

    def _do(self, part):
        try:
            part(self)
            self.after = wait_until_back(self._server, self._api, self.before, RETRIED, self._unstarted)
            assert_no_traceback(self._server.logged())
        except Exception as error:  # noqa: BLE001  # any error is reported, and the soak goes on
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.failures.append(f"{part.__name__}: {error!r} ({place.name}, line {place.lineno})")
            click.echo(f"FAILED {self.failures[-1]}")
        os.truncate(self._server.log, 0)
        self.counts[part.__name__.replace("_", " ")] += 1
        while Peer.made:
            Peer.made.pop().socket.close()

    @contextlib.contextmanager
    def _bystander(self):
        with Bystander(self._server.url) as bystander:
            yield
        self.longest_echo = max(self.longest_echo, bystander.longest_echo)
        self.counts["lines echoed to bystanders"] += bystander.lines

    def _cuts(self, count):
        for stage, way in scenarios.random_cuts(self._server, self._rng, count):
            self.counts[f"cuts: {stage}, {way}"] += 1

    def clients(self):
        """Run cuts, garbage and a slowloris at the same time, beside streams."""
        connections, slow = self._rng.randrange(100, 400), self._rng.randrange(20, 60)
        with self._bystander(), scenarios.load(self._server, *STREAMS):
            jobs = [
                gevent.spawn(self._cuts, self._rng.randrange(30, 80)),
                gevent.spawn(scenarios.garbage, self._server, self._rng, connections),
                gevent.spawn(list, scenarios.slowloris(self._server, slow)),
            ]
            try:
                gevent.joinall(jobs, raise_error=True)
            finally:
                gevent.killall(jobs)
        self.counts["garbage connections"] += connections
        self.counts["slow connections"] += slow

    def engine_kills(self):
        harms.engine_killed(self._server, self._engine, self._rng.randrange(5, 50))
        self._unstarted = 0

    def engine_hangs(self):
        self._unstarted += 3
        with Bystander(self._server.url, longest=30.0):
            harms.engine_hangs(self._server, self._engine, self._rng.randrange(5, 30), ENGINE_TIMEOUT)

    def container_kills(self):
        harms.container_killed(self._server, self._api, self._rng.randrange(5, 30))
        self._unstarted = 0

    def full_disks(self):
        with self._bystander(), harms.full(self._disk):
            self._cuts(30)

    def times_out_of_descriptors(self):
        peers = harms.sessions(self._server, 10)
        with self._bystander():
            with harms.few_descriptors(self._server, DESCRIPTORS):
                for peer in peers:
                    peer.vanish()
                gevent.sleep(1)
            harms.assert_works(self._server)


HARMS = [Soak.engine_kills, Soak.engine_hangs, Soak.container_kills, Soak.full_disks, Soak.times_out_of_descriptors]


def tell(soak, began):
    while True:
        gevent.sleep(60)
        counts = ", ".join(f"{name} {count}" for name, count in totals(soak).items())
        click.echo(f"{(time.monotonic() - began) / 60:.0f} min: {counts}; failures {len(soak.failures)}")


def totals(soak):
    """The counts, with all kinds of cuts added up."""
    cuts = sum(count for name, count in soak.counts.items() if name.startswith("cuts: "))
    return {"cuts": cuts} | {name: count for name, count in soak.counts.items() if not name.startswith("cuts: ")}


def show(soak):
    for name, count in sorted(soak.counts.items()):
        click.echo(f"{name:40}{count:>12}")
    click.echo(f"{'longest echo, s':40}{soak.longest_echo:>12.2f}")
    click.echo(f"\n{'':40}{'before':>12}{'after':>12}")
    after = asdict(soak.after)
    for name, count in asdict(soak.before).items():
        click.echo(f"{name:40}{count:>12}{after[name]:>12}")
    click.echo("\n".join(["", *soak.failures, "nothing is left" if not soak.failures else "FAILED"]))


@click.command()
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=10, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def main(minutes, seed):
    """Mix all faults for some minutes on a private engine; print what was done, and the counts before and after.

    Exit code 1: something is left, or a bystander noticed a fault.
    """
    if os.geteuid() != 0:
        raise click.ClickException("this needs root, to start an engine and to mount a disk that can be full")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["DOCKEREXEC_WS_STATE_DIR"] = str(folder / "state")
        engine = stack.enter_context(private_engine(tempfile.gettempdir()))
        engine.up()
        disk = stack.enter_context(harms.small_disk(folder / "disk", "16m"))
        api = stack.enter_context(contextlib.closing(docker.APIClient(engine.address)))
        server = ServerProcess(NAME, engine.address, *OPTIONS, log=disk / "log", descriptors=DESCRIPTORS)
        stack.enter_context(server)
        soak = Soak(server, engine, api, disk, random.Random(seed))
        began = time.monotonic()
        telling = gevent.spawn(tell, soak, began)
        click.echo("the soak begins")
        try:
            soak.run(began + 60 * minutes)
        except KeyboardInterrupt:
            soak.failures.append("interrupted")
        finally:
            # Ignore further signals, so that everything that was started is stopped.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            telling.kill()
        show(soak)
    sys.exit(bool(soak.failures))


if __name__ == "__main__":
    main(prog_name="soak")
