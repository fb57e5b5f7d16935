"""A session that is not part of a fault and must not notice it."""

import time

import gevent

from tests.peer import Peer

LONGEST_ECHO = 5.0
"""Seconds; a fault may make the machine slow, but stops nobody."""

_INTERVAL = 0.02


class Bystander:
    """Sends numbered lines to a `cat` and checks that each comes back whole and in order, until the block ends."""

    def __init__(self, url, *, longest=LONGEST_ECHO):
        self.longest_echo = 0.0
        self.lines = 0
        self._bound = longest
        self._peer = Peer(url, "cat", timeout=60).ready()
        self._over = False
        self._greenlet = gevent.spawn(self._run)

    def _run(self):
        while not self._over:
            line = f"line {self.lines}\n".encode()
            sent = time.monotonic()
            self._peer.stdin(line)
            assert self._peer.until(b"\n") == line
            self.longest_echo = max(self.longest_echo, time.monotonic() - sent)
            self.lines += 1
            gevent.sleep(_INTERVAL)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._over = True
        if kind is not None:
            self._greenlet.kill()
            self._peer.socket.close()
            return
        self._greenlet.get()
        self._peer.end()
        transcript = self._peer.transcript()
        self._peer.socket.close()
        assert (transcript.stdout, transcript.stderr, transcript.errors) == (b"", b"", [])
        assert (transcript.exit_code, transcript.close_code) == (0, 1000)
        assert self.longest_echo < self._bound
