"""How many sessions an identity, an address and all clients together may have, over the wire."""

import gevent

from tests.access.asking import ask
from tests.conftest import wait_until
from tests.peer import Peer


def test_sessions_per_identity(serve):
    server = serve(
        max_sessions_per_identity=1, authenticators=[lambda environ: environ["HTTP_AUTHORIZATION"].split()[1]]
    )

    def peer(name):
        return Peer(server.url, "cat", headers=[("Authorization", f"Bearer {name}")])

    alice, bob = peer("alice").ready(), peer("bob").ready()
    transcript = peer("alice").transcript()
    assert transcript.errors == ["too many sessions of this identity are active"]
    assert transcript.close_code == 1013
    alice.end()
    assert alice.transcript().exit_code == 0
    wait_until(lambda: len(server.sessions) == 1)
    again = peer("alice").ready()
    for each in (bob, again):
        each.end()
        assert each.transcript().exit_code == 0


def test_a_quota_holds_for_sessions_that_start_at_once(serve_several, container):
    """The server asks the engine between the check of the quota and the start."""
    server = serve_several(allow_container=["*"], max_sessions_per_address=2, max_sessions=50)
    peers = [Peer(f"{server.url}/{container}", "cat") for _ in range(8)]
    wait_until(lambda: len(server.sessions) == 2)
    ended = [gevent.spawn(peer.transcript) for peer in peers]
    wait_until(lambda: sum(greenlet.ready() for greenlet in ended) == 6)
    for session in list(server.sessions):
        session.shutdown()
    codes = sorted(greenlet.get().close_code for greenlet in ended)
    assert codes == [1001] * 2 + [1013] * 6


def test_a_full_server_stays_full(serve):
    """A refused session frees no place."""
    server = serve(max_sessions=1)
    peer = Peer(server.url, "cat").ready()
    for _ in range(3):
        assert Peer(server.url, "cat").transcript().close_code == 1013
    peer.end()
    assert peer.transcript().exit_code == 0


def test_sessions_per_address_and_starts_per_minute(serve):
    server = serve(max_sessions_per_address=1, max_starts_per_minute=3)
    cat = Peer(server.url, "cat").ready()
    assert ask(server.url, "true").errors == ["too many sessions of this address are active"]
    cat.end()
    assert cat.transcript().exit_code == 0
    for _ in range(2):
        wait_until(lambda: server.sessions == [])
        assert ask(server.url, "true").exit_code == 0
    wait_until(lambda: server.sessions == [])
    transcript = ask(server.url, "true")
    assert transcript.errors == ["too many sessions of this address were started within a minute"]
    assert transcript.close_code == 1013


def test_a_callback_that_waits_lets_nobody_start_more_often(serve):
    server = serve(max_starts_per_minute=1)
    server.subscribe("session", lambda _: gevent.sleep(0.5))
    first = gevent.spawn(lambda: ask(server.url, "true"))
    wait_until(lambda: server.sessions)
    assert ask(server.url, "true").errors == ["too many sessions of this address were started within a minute"]
    assert first.get().exit_code == 0


def test_a_refused_request_takes_no_place(serve):
    """This holds however long the client takes to close."""
    server = serve(max_sessions=1)
    silent = [Peer(server.url) for _ in range(3)]  # no command, and no answer to the close frame
    assert [peer.receive()[:1] for peer in silent] == [b"\xca"] * 3
    assert ask(server.url, "true").exit_code == 0
