"""The definition of a client's terminal."""

import pytest

from dockerexec_ws.protocol.terminal import terminal_variables


def test_the_names_and_nothing_else():
    environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "HOME": "/root"}
    assert terminal_variables(environment) == {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    assert terminal_variables({}) == {}


@pytest.mark.parametrize("value", ["", "../../tmp/x", "a b", "x\ny", "-x", "x" * 65])
def test_what_is_no_plain_name_is_left_out(value):
    assert terminal_variables({"TERM": value, "COLORTERM": "24bit"}) == {"COLORTERM": "24bit"}
