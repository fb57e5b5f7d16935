"""The page's codec, checked with the examples for every implementation: see tests/protocol/test_vectors.py."""

import json

from tests.browser.node import node
from tests.protocol.test_vectors import VECTORS

VERSION = "dockerexec-ws"
FUNCTIONS = """
import {SUBPROTOCOL, encode, parseServerMessage} from './wire.js';
const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (data) => Buffer.from(data).toString('hex');
const print = (value) => console.log(JSON.stringify(value));
"""


def test_the_subprotocol_is_the_versions():
    assert node(FUNCTIONS + "print(SUBPROTOCOL)") == VERSION


def test_what_the_server_says_is_read_as_python_reads_it():
    examples = VECTORS[VERSION]["from_server"]
    script = f"""
      print({json.dumps(examples)}.map(({{message}}) => {{
        const {{data, exitCode, ...event}} = parseServerMessage(bytes(message));
        if (data !== undefined) event.data = hex(data);
        if (exitCode !== undefined) event.exit_code = exitCode;
        if (event.type === 'malformed') delete event.text;
        return {{message, event}};
      }}));
    """
    assert node(FUNCTIONS + script) == [{name: example[name] for name in ("message", "event")} for example in examples]


def test_what_the_page_says_is_written_as_python_writes_it():
    examples = [
        example
        for example in VECTORS[VERSION]["from_client"]
        if "only" not in example and example["event"]["type"] not in ("unknown", "malformed")
    ]
    script = f"""
      print({json.dumps(examples)}.map(({{event}}) => {{
        if ('data' in event) event.data = bytes(event.data);
        return hex(encode(event));
      }}));
    """
    assert node(FUNCTIONS + script) == [example["message"] for example in examples]
