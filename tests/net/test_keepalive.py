"""Dead peers behind a cut cable, in a private network namespace; test_clients_gone has peers that are alive."""

import subprocess
import sys
import time

import gevent
import pytest

from dockerexec_ws.net.connection_end import EndingKind
from dockerexec_ws.net.keepalive import Keepalive
from tests.conftest import ROOT, processes, wait_until

PEER = """
from gevent import monkey; monkey.patch_all()
import sys
from tests.peer import Peer
peer = Peer(sys.argv[1], *sys.argv[2:]).ready()
print("up", flush=True)
while True:
    peer.receive()
"""


class Kernel:
    """A kernel whose answers the test chooses."""

    def __init__(self, *, gone=False, undelivered=False, hung_up=False):
        self.answers = gone, undelivered, hung_up

    def gone(self, _):
        return self.answers[0]

    def undelivered(self):
        return self.answers[1]

    def hung_up(self):
        return self.answers[2]


@pytest.fixture
def watch():
    """A function that starts a keepalive; returns it and the list of its actions: "ping", or how the peer was lost."""
    started = []

    def watch(kernel, *, interval=0.1, timeout=0.1, writing=False):
        done = []

        def gone(kind):
            done.append(kind)
            keepalive.stop()

        keepalive = Keepalive(
            kernel,
            interval=interval,
            timeout=timeout,
            writing=lambda: writing,
            ping=lambda: done.append("ping"),
            gone=gone,
            look_interval=0.1,
        )
        started.append(keepalive)
        return keepalive, done

    yield watch
    for keepalive in started:
        keepalive.stop()


def test_no_peer_is_dead_before_it_was_pinged(watch):
    """After any time of silence, output may have been sent only a moment ago."""
    _, done = watch(Kernel(gone=True))
    wait_until(lambda: len(done) > 1)
    assert done == ["ping", EndingKind.PING_TIMEOUT]


def test_a_peer_that_is_read_from_has_to_answer(watch):
    keepalive, done = watch(Kernel())
    keepalive.reading = True
    wait_until(lambda: len(done) > 1)
    assert done == ["ping", EndingKind.PING_TIMEOUT]


@pytest.mark.parametrize(
    ("reading", "writing", "output_sent", "kernel"),
    [
        (False, False, False, Kernel()),  # the answer may have arrived unread
        (True, True, False, Kernel()),
        (True, False, True, Kernel()),
        (True, False, False, Kernel(undelivered=True)),
    ],
)
def test_an_unanswered_ping_may_prove_nothing(watch, reading, writing, output_sent, kernel):
    keepalive, done = watch(kernel, writing=writing)
    keepalive.reading = reading
    if output_sent:
        keepalive.output_sent()
    wait_until(lambda: len(done) > 3)
    assert set(done) == {"ping"}


def test_a_peer_that_answers_is_pinged_at_the_interval_even_if_the_timeout_is_longer(watch):
    keepalive, done = watch(Kernel(), timeout=60)
    keepalive.reading = True
    for count in range(1, 4):
        wait_until(lambda count=count: len(done) == count)
        keepalive.heard()
    assert set(done) == {"ping"}


def test_nobody_is_pinged_with_an_interval_of_zero(watch):
    _, done = watch(Kernel(gone=True), interval=0)
    gevent.sleep(0.2)
    assert done == []


def test_a_hang_up_counts_only_while_nobody_reads(watch):
    keepalive, done = watch(Kernel(hung_up=True), interval=0)
    keepalive.reading = True
    keepalive.watch_unread()
    gevent.sleep(0.3)
    assert done == []
    keepalive.reading = False
    keepalive.watch_unread()
    wait_until(lambda: done)
    assert done == [EndingKind.PEER_VANISHED]


def test_a_peer_that_has_not_hung_up_stays(watch):
    keepalive, done = watch(Kernel(), interval=0)
    keepalive.watch_unread()
    gevent.sleep(0.3)
    assert done == []


def test_a_hang_up_is_expected_in_the_closing_handshake(watch):
    keepalive, done = watch(Kernel(hung_up=True), interval=0)
    keepalive.watch_unread()
    keepalive.expect_hang_up()
    gevent.sleep(0.3)
    assert done == []


@pytest.mark.parametrize("command", [["sleep", "1000"], ["cat", "/dev/zero"]])
def test_a_peer_behind_a_cut_cable_is_dead(serve, cable, container, docker_api, command):
    """This holds in the middle of output, too, when pings wait behind data that its kernel no longer acknowledges."""
    server = serve(host="10.231.7.1", allow_unauthenticated=True, ping_interval=0.5, ping_timeout=1)
    arguments = ["ip", "netns", "exec", cable, sys.executable, "-c", PEER, server.url, *command]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) as peer:
        try:
            assert peer.stdout.readline() == b"up\n"
            gevent.sleep(1)  # pings and streams work during this time
            assert len(server.sessions) == 1
            subprocess.run(["ip", "-n", cable, "link", "set", f"{cable}1", "down"], check=True)
            begin = time.monotonic()
            wait_until(lambda: not server.sessions)
            assert time.monotonic() - begin > 0.9
            assert processes(docker_api, container) == []
        finally:
            peer.kill()
