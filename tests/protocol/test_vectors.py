"""Examples of the wire protocol's messages, which every implementation in this repository has to read and write alike.

``vectors.json`` has an object for each version of the protocol, by its subprotocol. In it, ``from_client`` and
``from_server`` are lists of examples, one for each direction. An example has:

- ``message``: the message's bytes in hexadecimal, the code included.
- ``event``: the meaning. Its ``type`` is one of

  - ``stdin``, with ``data`` in hexadecimal
  - ``output``, with ``stream`` ("stdout" or "stderr") and ``data`` in hexadecimal
  - ``resize``, with ``rows`` and ``columns``
  - ``stopped``, with ``exit_code``
  - ``error``, with ``text``
  - ``resume``, ``pause``, ``end`` and ``shutdown``
  - ``unknown``, with ``code`` (null for an empty message): the receiver ignores it
  - ``malformed``: the receiver does not take a value from it. It may report the message in any words.

- ``only``: "read" if these bytes have this meaning, but no sender writes the meaning as these bytes.

A receiver of that direction reads ``message`` as ``event``. A sender writes ``event`` as ``message``, except for
``unknown``, ``malformed``, and examples with ``only``.
"""

import json
import pathlib

import pytest

from dockerexec_ws.protocol.events import (
    End,
    Error,
    Malformed,
    Output,
    Pause,
    Resize,
    Resume,
    Shutdown,
    Stdin,
    Stopped,
    Stream,
    Unknown,
)
from dockerexec_ws.protocol.v1 import Code
from dockerexec_ws.protocol.versions import VERSIONS, codec_of

VECTORS = json.loads((pathlib.Path(__file__).parent / "vectors.json").read_text())
EXAMPLES = [
    pytest.param(codec_of(version), direction, bytes.fromhex(example["message"]), example, id=f"{direction} {example}")
    for version, directions in VECTORS.items()
    for direction, examples in directions.items()
    for example in examples
]
WRITTEN = [
    example
    for example in EXAMPLES
    if "only" not in example.values[3] and example.values[3]["event"]["type"] not in ("unknown", "malformed")
]


def event_of(fields):
    """Return the event that an example's ``event`` describes."""
    match fields:
        case {"type": "stdin", "data": data}:
            return Stdin(memoryview(bytes.fromhex(data)))
        case {"type": "output", "stream": stream, "data": data}:
            return Output(Stream[stream.upper()], memoryview(bytes.fromhex(data)))
        case {"type": "resize", "rows": rows, "columns": columns}:
            return Resize(rows, columns)
        case {"type": "stopped", "exit_code": exit_code}:
            return Stopped(exit_code)
        case {"type": "error", "text": text}:
            return Error(text)
        case {"type": "unknown", "code": code}:
            return Unknown(code)
        case {"type": name}:
            return {"resume": Resume, "pause": Pause, "end": End, "shutdown": Shutdown}[name]()


@pytest.mark.parametrize(("codec", "direction", "message", "example"), EXAMPLES)
def test_reading(codec, direction, message, example):
    parse = {"from_client": codec.parse_client_message, "from_server": codec.parse_server_message}[direction]
    if example["event"]["type"] == "malformed":
        assert isinstance(parse(message), Malformed)
    else:
        assert parse(message) == event_of(example["event"])


@pytest.mark.parametrize(("codec", "direction", "message", "example"), WRITTEN)
def test_writing(codec, direction, message, example):
    assert codec.encode(event_of(example["event"])) == message


def test_each_version_has_examples():
    assert set(VECTORS) == set(VERSIONS)


@pytest.mark.parametrize("direction", ["from_client", "from_server"])
def test_each_code_has_an_example_in_both_directions(direction):
    codes = {int(example["message"][:2], 16) for example in VECTORS["dockerexec-ws"][direction] if example["message"]}
    assert codes >= set(Code)
