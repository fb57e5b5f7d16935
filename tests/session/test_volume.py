"""Many sessions, and many bytes."""

import hashlib

import gevent
import pytest

from dockerexec_ws.protocol.v1 import Code
from tests.peer import Peer, Transcript
from tests.session.commands import run


@pytest.mark.heavy
def test_300_sessions_lose_nothing(serve):
    server = serve(max_sessions=20)

    def one(number):
        transcript = run(server.url, "echo", f"session {number}")
        return transcript.stdout, transcript.exit_code, transcript.close_code

    pool = gevent.pool.Pool(10)
    results = pool.map(one, range(300))
    assert results == [(b"session %d\n" % number, 0, 1000) for number in range(300)]


@pytest.mark.slow
def test_1_gb_out_byte_exact(server):
    digest = hashlib.md5()
    rest = []
    with Peer(server.url, "bash", "-c", "head -c 1000000000 /dev/urandom | tee >(md5sum >&2)").ready() as peer:
        while (message := peer.receive())[0] != Code.STOPPED:
            if message[0] == Code.STDOUT:
                digest.update(message[1:])
            else:
                rest.append(message)
    assert message == b"\xc8\x00"
    assert b"".join(rest).split()[0] == b"\x02" + digest.hexdigest().encode()


@pytest.mark.slow
def test_300_mb_in_byte_exact(server):
    digest = hashlib.md5()
    with Peer(server.url, "md5sum").ready() as peer:
        for number in range(300):
            data = number.to_bytes(4, "big") * 250_000
            digest.update(data)
            peer.stdin(data)
        peer.end()
        transcript = Transcript(peer)
    assert transcript.exit_code == 0
    assert transcript.stdout.split()[0].decode() == digest.hexdigest()
