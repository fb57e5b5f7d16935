"""Logs: one line a message, and no character that controls a terminal, whoever sent it."""

import logging
import resource
import sys

import pytest

from dockerexec_ws.observe.logs import EscapingFormatter, escaped, set_up
from tests.conftest import wait_until
from tests.faults.census import ServerProcess
from tests.peer import Peer

FORGED = "\x1b]0;x\x07\r\n2026-01-01 00:00:00,000 ERROR forged: yes\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, grüße 漢字", "plain, grüße 漢字"),
        ("a\x1b]0;x\x07b", r"a\x1b]0;x\x07b"),
        ("a\r\nb\x9b\x00", r"a\r\nb\x9b\x00"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_does_not_show_as_itself_is_escaped(text, shown):
    assert escaped(text) == shown


def test_a_long_message_is_cut():
    assert escaped("x" * 100_000) == "x" * 4000 + "..."


def test_a_message_and_the_end_of_a_traceback():
    try:
        raise ValueError(FORGED)
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "p", 1, "said %s", (FORGED,), sys.exc_info())
    text = EscapingFormatter("%(message)s").format(record)
    assert text.startswith(r"said \x1b]0;x\x07\r\n2026")
    assert "\x1b" not in text
    assert not [line for line in text.split("\n") if line.startswith("2026")][1:]


def test_what_a_container_says_is_in_the_servers_log_escaped(own_container, docker_api, docker_host, tmp_path):
    script = f"printf '{FORGED.encode('unicode_escape').decode()}'; exit 1"
    install = "rm /bin/sh; printf '%s\\n' '#!/bin/bash' \"$1\" >/bin/sh; chmod +x /bin/sh"
    exec_id = docker_api.exec_create(own_container, ["bash", "-c", install, "bash", script])["Id"]
    docker_api.exec_start(exec_id)
    log = tmp_path / "log"
    with ServerProcess(own_container, docker_host, "--no-host-processes", log=log) as server:
        Peer(server.url, "sleep", "600").ready().vanish()
        wait_until(lambda: "may be left" in server.logged(), timeout=20)
        text = server.logged()
    assert r"\x1b]0;x\x07" in text
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")]


def test_the_command_uses_all_descriptors_that_it_may(own_container, docker_host, tmp_path):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ServerProcess(own_container, docker_host, log=tmp_path / "log") as server:
        assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def test_what_is_bounded_on_purpose_is_no_news():
    pool = logging.getLogger("urllib3.connectionpool")
    before = pool.level
    try:
        set_up()
        assert not pool.isEnabledFor(logging.WARNING)
    finally:
        pool.setLevel(before)
