"""The decoder's fast path gives the same result as the parser, for any input and any cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from dockerexec_ws.net.assembler import Assembler
from dockerexec_ws.net.frame_decoder import FrameDecoder
from dockerexec_ws.parser_logging import frameless_logger

MAX_SIZE = 1000
PREFIX = b"s"


def protocol_of():
    return ServerProtocol(state=State.OPEN, max_size=MAX_SIZE, logger=frameless_logger)


def messages_of(decoded):
    """Return the messages and control frames in order. Adjacent pieces of the stream become one message."""
    assembler = Assembler()
    messages = []
    for each in decoded:
        message = each
        if isinstance(each, Frame):
            try:
                message = assembler.take(each) if each.opcode < Opcode.CLOSE else (each.opcode, bytes(each.data))
            except UnicodeDecodeError:
                return [*messages, "not UTF-8"]
        if all(isinstance(piece, bytes) and piece.startswith(PREFIX) for piece in (message, *messages[-1:])):
            message = b"".join([*messages[-1:], message[len(messages[-1:]) :]])
            del messages[-1:]
        if message is not None:
            messages.append(message)
    return messages


def outcome(protocol, decoded):
    return (
        messages_of(decoded),
        protocol.state,
        str(protocol.parser_exc),
        protocol.close_sent,
        protocol.data_to_send(),
    )


def parsed(data):
    """Return the outcome of *data* with the parser alone."""
    protocol = protocol_of()
    protocol.receive_data(data)
    frames = protocol.events_received()
    protocol.receive_eof()
    return outcome(protocol, frames)


def decoded(data, cuts):
    """Return the outcome of *data* with the decoder, in pieces and in memory that is reused."""
    protocol = protocol_of()
    decoder = decoder_of(protocol)
    everything = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        memory = bytearray(data[start:end])
        everything += decoder.decode(memoryview(memory))
        memory[:] = bytes(len(memory))
    decoder.end()
    return outcome(protocol, everything)


def decoder_of(protocol=None):
    return FrameDecoder(protocol or protocol_of(), max_size=MAX_SIZE, prefix=PREFIX)


SIZES = st.one_of(st.integers(0, 5), st.sampled_from([125, 126, 127, 300, MAX_SIZE - 1, MAX_SIZE]))


@st.composite
def frames(draw):
    opcode = draw(st.sampled_from([Opcode.BINARY] * 6 + [Opcode.TEXT, Opcode.CONT, Opcode.PING, Opcode.PONG]))
    payload = draw(st.sampled_from([PREFIX, PREFIX, b"x"])) + draw(st.randoms()).randbytes(draw(SIZES))
    if opcode is Opcode.TEXT:
        payload = payload.hex().encode()
    if opcode in (Opcode.PING, Opcode.PONG):
        payload = payload[:125]
    payload = payload[: draw(st.sampled_from([MAX_SIZE, MAX_SIZE, 1, 0]))]
    fin = opcode in (Opcode.PING, Opcode.PONG) or draw(st.sampled_from([True, True, True, False]))
    return Frame(opcode, payload, fin).serialize(mask=True)


@st.composite
def faulty_frames(draw):
    """A close frame, or a breach of the protocol: an unmasked or long frame, reserved bits, any bytes."""
    good = draw(frames())
    return draw(
        st.sampled_from(
            [
                Frame(Opcode.CLOSE, b"\x03\xe8bye").serialize(mask=True),
                Frame(Opcode.BINARY, PREFIX).serialize(mask=False),
                Frame(Opcode.BINARY, PREFIX * (MAX_SIZE + 1)).serialize(mask=True),
                Frame(Opcode.TEXT, b"\xff").serialize(mask=True),
                b"\x82\xff" + b"\xff" * 8,
                bytes([good[0] | 0x40]) + good[1:],
                bytes([0x83]) + good[1:],
                draw(st.binary(max_size=20)),
                good[: len(good) // 2],  # the bytes after it are taken for its rest
            ]
        )
    )


@given(
    st.lists(frames(), max_size=8),
    st.lists(faulty_frames(), max_size=1),
    st.lists(frames(), max_size=3),
    st.data(),
)
def test_whatever_comes_is_what_the_parser_makes_of_it(before, faulty, after, data):
    # The zeros complete a message that was cut short. The parser would give nothing for an incomplete message.
    stream = b"".join([*before, *faulty, *after, bytes(MAX_SIZE + 14) if faulty else b""])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    assert decoded(stream, cuts) == parsed(stream)


@given(st.lists(frames(), max_size=4))
def test_whatever_comes_may_come_byte_by_byte(sequence):
    stream = b"".join(sequence)
    assert decoded(stream, range(1, len(stream))) == parsed(stream)


def test_a_piece_of_the_stream_does_not_wait_for_the_rest_of_its_message():
    frame = Frame(Opcode.BINARY, PREFIX + b"0123456789").serialize(mask=True)
    decoder = decoder_of()
    assert decoder.decode(memoryview(frame[:12])) == [PREFIX + b"01234"]
    assert decoder.decode(memoryview(frame[12:13])) == [PREFIX + b"5"]
    assert decoder.decode(memoryview(frame[13:])) == [PREFIX + b"6789"]


def test_another_message_waits_for_its_rest():
    frame = Frame(Opcode.BINARY, b"x0123456789").serialize(mask=True)
    decoder = decoder_of()
    assert decoder.decode(memoryview(frame[:12])) == []
    (rest,) = decoder.decode(memoryview(frame[12:]))
    assert rest.data == b"x0123456789"


@pytest.mark.parametrize("split", range(1, 7))
def test_whole_messages_take_the_short_way_wherever_their_heads_are_cut(split):
    frame = Frame(Opcode.BINARY, b"x").serialize(mask=True)
    decoder = decoder_of()
    assert decoder.decode(memoryview(frame[:split])) == []
    assert decoder.decode(memoryview(frame[split:] + frame)) == [b"x", b"x"]


def test_with_compression_the_parser_decodes_everything():
    protocol = protocol_of()
    protocol.extensions = [ServerPerMessageDeflateFactory().process_request_params([], [])[1]]
    frame = Frame(Opcode.BINARY, b"x").serialize(mask=True, extensions=[])
    (message,) = decoder_of(protocol).decode(memoryview(frame))
    assert isinstance(message, Frame)


def test_the_end_may_be_read_twice():
    protocol = protocol_of()
    decoder = decoder_of(protocol)
    decoder.end()
    decoder.end()
    assert isinstance(protocol.parser_exc, EOFError)
