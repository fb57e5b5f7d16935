"""Frames stay out of the log, whatever level a program sets."""

import logging

import pytest

from dockerexec_ws.parser_logging import FramelessLogger

NAME = "dockerexec_ws.websockets"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_frames_are_not_logged(caplog, level):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, NAME)
    logger = FramelessLogger()
    assert not logger.isEnabledFor(level)
    logger.log(level, "> %s", "a frame")
    assert caplog.records == []


def test_errors_are_logged_unless_the_program_does_not_want_them(caplog):
    caplog.set_level(logging.CRITICAL, NAME)
    FramelessLogger().error("parser failed")
    assert caplog.records == []
    caplog.set_level(logging.ERROR, NAME)
    FramelessLogger().error("parser failed")
    assert [(record.name, record.message) for record in caplog.records] == [(NAME, "parser failed")]
