"""Stand-ins for what a session works with, for tests of its logic without an engine or a network."""

from dockerexec_ws.access.admission import Client
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.targets import Target

TARGET = Target(reference="web", id="c0ffee", name="web")


def client_of(identity=None):
    return Client(None if identity is None else Identity(identity), "192.0.2.1", None)


class FakeSession:
    """What observers see of a session."""

    def __init__(self, *, end=None, identity=None):
        self.id = "0123456789abcdef"
        self.client = client_of(identity)
        self.target = TARGET
        self.argv = ("bash", "-c", "exit")
        self.user = None
        self.tty = False
        self.bytes_in = 2
        self.bytes_out = 3
        self.end = end
