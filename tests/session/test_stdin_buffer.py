"""The buffer between the peer and the engine: it keeps the order and joins small messages."""

import random

from dockerexec_ws.session.stdin_buffer import JOIN, StdinBuffer


def test_small_messages_share_memory_and_large_ones_are_not_copied():
    stdin = StdinBuffer()
    for _ in range(1000):
        stdin.put(memoryview(b"x"))
    large = memoryview(bytes(JOIN))
    stdin.put(large)
    stdin.put(memoryview(b"y"))
    small, same, last = stdin.first()
    assert (small, last) == (1000 * b"x", b"y")
    assert same is large


def test_what_is_put_comes_out_whatever_is_taken_at_a_time():
    choose = random.Random(1)
    stdin = StdinBuffer()
    put = got = b""
    while len(got) < 2_000_000:
        if len(put) < 2_000_000 and choose.random() < 0.6:
            piece = choose.randbytes(choose.choice([1, 10, JOIN - 1, JOIN, 3 * JOIN]))
            stdin.put(memoryview(piece))
            put += piece
        elif stdin:
            parts = stdin.first()
            size = choose.randrange(1, sum(map(len, parts)) + 1)
            got += b"".join(parts)[:size]
            stdin.taken(size)
        assert bool(stdin) is (len(got) < len(put))
    assert put.startswith(got)
