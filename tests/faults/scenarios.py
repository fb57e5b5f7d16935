"""Faults that clients cause, one function each. Each takes a ServerProcess and a random.Random."""

import contextlib
import itertools
import secrets
import socket
import struct
import time
from urllib.parse import urlencode, urlsplit

import gevent
from gevent.pool import Pool

from dockerexec_ws.protocol.v1 import Code
from tests.conftest import wait_until
from tests.peer import Peer

WAYS = ["close", "reset", "shutdown"]
"""How a client is cut: FIN both ways, RST, FIN of its own direction while it still reads."""

_STREAMS = [["yes"], ["cat", "/dev/zero"], ["sh", "-c", "yes >&2"]]
_AT_A_TIME = 20
_CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303")


def cut(sock, way):
    if way == "shutdown":
        with contextlib.suppress(OSError):  # the server may have closed it first
            sock.shutdown(socket.SHUT_WR)
        drain(sock)
    elif way == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def drain(sock, timeout=15.0):
    """Read until the server has ended the connection."""
    kept = AssertionError("the server keeps a connection that its client has ended")
    with gevent.Timeout(timeout, kept), contextlib.suppress(OSError):
        while sock.recv(65536):
            pass


def connect(server):
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def head(server, *argv):
    """The head of a valid request."""
    parts = urlsplit(server.url)
    fields = {
        "Host": parts.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    query = urlencode([("command", word) for word in argv])
    lines = [f"GET {parts.path}?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


# Cuts at every stage


def cut_in_handshake(server, rng, way):
    sock = connect(server)
    request = head(server, "cat")
    sock.sendall(request[: rng.randrange(len(request))])
    cut(sock, way)


def cut_before_ready(server, rng, way):
    sock = connect(server)
    sock.sendall(head(server, *rng.choice([*_STREAMS, ["sleep", "600"], ["true"]])))
    cut(sock, way)


def cut_in_frame(server, rng, way):
    peer = Peer(server.url, "cat", tty=rng.random() < 0.5).ready()
    size = rng.randrange(2, 100_000)
    frame = b"\x82\xff" + size.to_bytes(8, "big") + rng.randbytes(4) + rng.randbytes(size)
    peer.send_raw(frame[: rng.randrange(1, len(frame))])
    cut(peer.socket, way)


def cut_in_output(server, rng, way):
    peer = Peer(server.url, *rng.choice(_STREAMS), tty=rng.random() < 0.5, receive_buffer=4096).ready()
    assert peer.receive()[0] in (Code.STDOUT, Code.STDERR)
    cut(peer.socket, way)


def cut_after_exit(server, rng, way):
    """The server knows the exit code, but the client's pause holds back both the code and the output."""
    name = secrets.token_hex(8)
    peer = Peer(server.url, "sh", "-c", "read line; echo output; exit 3", name).ready()
    peer.pause()
    peer.stdin(b"\n")
    wait_until(lambda: name in server.ask("exited"), timeout=20)
    cut(peer.socket, way)


CUTS = {
    "handshake": cut_in_handshake,
    "before ready": cut_before_ready,
    "frame": cut_in_frame,
    "output": cut_in_output,
    "after exit": cut_after_exit,
}


def random_cuts(server, rng, count):
    """Make *count* random cuts, several at a time; return which ones were made."""
    chosen = [(rng.choice(list(CUTS)), rng.choice(WAYS), type(rng)(rng.random())) for _ in range(count)]
    pool = Pool(8)
    greenlets = [pool.spawn(CUTS[stage], server, own, way) for stage, way, own in chosen]
    try:
        gevent.joinall(greenlets, raise_error=True)
    finally:
        pool.kill()
    return [(stage, way) for stage, way, _ in chosen]


@contextlib.contextmanager
def load(server, *commands):
    """Sessions that stream during the block, read by honest clients."""
    peers = [Peer(server.url, *command).ready() for command in commands]
    readers = [gevent.spawn(_read_on, peer) for peer in peers]
    try:
        yield
        assert not any(readers_that_ended := [reader for reader in readers if reader.ready()]), readers_that_ended
    finally:
        gevent.killall(readers)
        for peer in peers:
            peer.vanish()


def _read_on(peer):
    # It reads slowly, because it shares the machine with the server under test.
    while peer.receive()[0] == Code.STDOUT:
        gevent.sleep(0.005)


# Connections that never become sessions


def garbage(server, rng, count):
    """Make *count* connections, several at a time, that send no valid handshake or break the protocol after it."""
    pool = Pool(_AT_A_TIME)
    for _ in range(count):
        pool.spawn(_one_of_garbage, server, type(rng)(rng.random())).link_exception(_raise)
    pool.join()


def _raise(greenlet):
    raise greenlet.exception


def _one_of_garbage(server, rng):
    request = head(server, "cat")
    noise = rng.randbytes(rng.randrange(1, 2000))
    kind = rng.random()
    if kind < 0.02:
        said = request + noise
    elif kind < 0.3:
        said = noise
    elif kind < 0.4:
        said = b""
    elif kind < 0.5:
        said = _CLIENT_HELLO + noise
    elif kind < 0.6:
        said = request.replace(b"13", noise[:20])
    elif kind < 0.7:
        said = b"GET /" + noise.replace(b"\n", b"") + b" HTTP/1.1\r\n\r\n"
    elif kind < 0.8:
        said = request[:-2] + noise.replace(b"\n", b"") + b"\r\n\r\n"
    elif kind < 0.9:
        said = b"x" * 20_000
    else:
        said = request.replace(b"/x?", b"/y?")
    sock = connect(server)
    with contextlib.suppress(OSError):  # the server may have closed already
        sock.sendall(said)
    cut(sock, rng.choice(WAYS))


def slowloris(server, count, timeout=30.0):
    """Make *count* connections that send a request byte by byte; yield after each byte, until all are dropped."""
    request = head(server, "cat" * 1000)
    socks = [connect(server) for _ in range(count)]
    left = list(socks)
    deadline = time.monotonic() + timeout
    for at in itertools.count():
        for sock in list(left):
            try:
                sock.sendall(request[at : at + 1])
            except OSError:
                left.remove(sock)
        if not left or time.monotonic() > deadline:
            break
        yield
        gevent.sleep(0.1)
    for sock in socks:
        sock.close()
    assert not left, f"{len(left)} of {count} are still there"
