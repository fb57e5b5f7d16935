"""The consequences of each cause of an end are the same in the code and in the manual's table of endings."""

import re

import pytest

from dockerexec_ws.protocol.events import Error, Shutdown, Stopped
from dockerexec_ws.protocol.v1 import Code
from dockerexec_ws.session.ending import CONSEQUENCES, PATIENCE, Cause, Processes, SessionEnd
from tests.conftest import ROOT

ROWS = {
    Cause.EXITED: "the process exited with 0 to 255",
    Cause.PEER_GONE: "the client left, vanished or answers no ping",
    Cause.SHUTDOWN: "the server goes away",
    Cause.TIME_LIMIT: "a time limit of the session is reached",
    Cause.FAILED: "the engine tells no exit code, or too late of an exit",
}
CODES = {None: [], Stopped: [Code.STOPPED], Shutdown: [Code.SHUTDOWN], Error: [Code.ERROR]}
PROCESSES = {Processes.LEFT: "left", Processes.ENDED: "ended", Processes.ENDED_UNLESS_LEAVE: "ended (*)"}


def table_of_endings():
    """The rows of the manual's table: a cause mapped to messages, close code and processes."""
    section = (ROOT / "docs/protocol.rst").read_text().partition("How a session ends\n")[2]
    columns, *blocks = re.split(r"^(=+ [= ]+)\n", section, flags=re.MULTILINE)[1:]
    spans = [match.span() for match in re.finditer("=+", columns)]
    rows = []
    for line in blocks[2].splitlines():
        happened, *cells = (line[start:end].strip() for start, end in spans)
        if happened:
            rows.append((happened, cells))
        else:  # this line continues the row
            rows[-1][1][:] = [f"{cell} {more}".strip() for cell, more in zip(rows[-1][1], cells, strict=True)]
    return dict(rows)


@pytest.mark.parametrize("cause", Cause)
def test_the_manual_says_the_same(cause):
    implied = CONSEQUENCES[cause]
    messages, close_code, processes = table_of_endings()[ROWS[cause]]
    assert [int(code) for code in re.findall(r"\b20\d\b", messages)] == CODES[implied.message]
    assert ("all output" in messages) is implied.delivers_output
    assert close_code == (str(int(implied.close_code)) if implied.close_code else r"\-")
    assert processes == PROCESSES[implied.processes]


@pytest.mark.parametrize("cause", Cause)
def test_a_client_that_is_sent_output_has_any_time_to_take_it(cause):
    implied = CONSEQUENCES[cause]
    assert implied.patience == (None if implied.delivers_output else PATIENCE)


def test_an_error_may_have_its_own_close_code():
    assert SessionEnd(cause=Cause.FAILED).close_code == 1011
    assert SessionEnd(cause=Cause.FAILED, own_close_code=1008).close_code == 1008
    assert SessionEnd(cause=Cause.PEER_GONE).close_code == 1000


def test_an_ending_is_described_by_its_text_or_its_cause():
    assert SessionEnd(cause=Cause.PEER_GONE).description == "the client is gone"
    assert SessionEnd(cause=Cause.FAILED, text="no engine").description == "no engine"
