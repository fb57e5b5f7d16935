"""A command that runs in a session from its start to its end."""

from tests.peer import Peer, Transcript


def run(url, *argv, stdin=None, tty=None, **options):
    """Run a command to its end; returns the Transcript."""
    with Peer(url, *argv, tty=tty, **options) as peer:
        if stdin is not None:
            for start in range(0, len(stdin), 60_000):
                peer.stdin(stdin[start : start + 60_000])
            peer.end()
        return Transcript(peer)
