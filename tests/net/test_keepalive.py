"""Dead peers behind a cut cable, in a network namespace of the test's own; test_clients_gone has living ones."""

import socket
import subprocess
import sys
import time

import gevent
import pytest

from dockerexec_ws.net.keepalive import Keepalive, Verdict
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


def test_no_peer_is_dead_before_it_was_pinged(monkeypatch):
    """Output may be on its way since a moment ago, after any time of silence."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        keepalive = Keepalive(ours, interval=0.1, timeout=0.1)
        monkeypatch.setattr(keepalive, "_kernel_gone", lambda: True)
        assert keepalive.verdict(writing=False) is Verdict.WAIT
        gevent.sleep(0.12)
        assert keepalive.verdict(writing=False) is Verdict.PING
        assert keepalive.verdict(writing=False) is Verdict.WAIT
        gevent.sleep(0.12)
        assert keepalive.verdict(writing=False) is Verdict.DEAD


@pytest.mark.parametrize("command", [["sleep", "1000"], ["cat", "/dev/zero"]])
def test_a_peer_behind_a_cut_cable_is_dead(serve, cable, container, docker_api, command):
    """Also in the middle of output, when pings wait behind what its kernel does not acknowledge any more."""
    server = serve(host="10.231.7.1", allow_unauthenticated=True, ping_interval=0.5, ping_timeout=1)
    arguments = ["ip", "netns", "exec", cable, sys.executable, "-c", PEER, server.url, *command]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) as peer:
        try:
            assert peer.stdout.readline() == b"up\n"
            gevent.sleep(1)  # pings and streams work meanwhile
            assert len(server.sessions) == 1
            subprocess.run(["ip", "-n", cable, "link", "set", f"{cable}1", "down"], check=True)
            begin = time.monotonic()
            wait_until(lambda: not server.sessions)
            assert time.monotonic() - begin > 0.9
            assert processes(docker_api, container) == []
        finally:
            peer.kill()
