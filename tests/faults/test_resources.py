"""The server's machine runs out of disk space for the log, or of descriptors."""

import contextlib
import subprocess

import gevent
import pytest

from tests.faults import harms, scenarios
from tests.faults.bystander import Bystander
from tests.faults.census import nothing_left
from tests.peer import Peer

DESCRIPTORS = 80


@pytest.fixture
def disk(tmp_path):
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(harms.small_disk(tmp_path / "disk", "64k"))
        except subprocess.CalledProcessError:
            pytest.skip("needs root, to mount a file system that can be full")
        yield folder


def test_the_disk_of_the_log_is_full(start, own_container, docker_api, disk, rng):
    with contextlib.ExitStack() as until_the_end:
        server = start(own_container, "--log-level", "debug", log=disk / "log")
        with nothing_left(server, docker_api), Bystander(server.url):
            until_the_end.enter_context(harms.full(disk))
            scenarios.random_cuts(server, rng, 20)
            for _ in range(10):
                assert Peer(server.url, "no-such-program").transcript().exit_code == 126
                harms.assert_works(server)
        server.close()


@pytest.mark.parametrize("left", [0, 1, 2, 3, 4, 8])
def test_descriptors_are_used_up(start, own_container, docker_api, left):
    """New clients get an error message, or wait until the server can accept them."""
    server = start(own_container, "--handshake-timeout", 60, descriptors=DESCRIPTORS)
    # Sessions that could not start their exec have created it.
    with nothing_left(server, docker_api, unstarted=3), Bystander(server.url):
        peers = harms.sessions(server, 4)
        with harms.few_descriptors(server, DESCRIPTORS, left):
            asking = [gevent.spawn(lambda: Peer(server.url, "echo", "x").transcript()) for _ in range(3)]
            # The processes of clients that leave in the meantime end, too.
            for peer in peers:
                peer.vanish()
            gevent.joinall(asking, timeout=3)
        for answer in gevent.joinall(asking, timeout=10, raise_error=True):
            transcript = answer.get()
            if transcript.exit_code == 0:
                assert transcript.stdout == b"x\n"
            else:
                assert (transcript.close_code, len(transcript.errors)) == (1011, 1)
        with gevent.Timeout(5, AssertionError("nobody is accepted again")):
            harms.assert_works(server)
