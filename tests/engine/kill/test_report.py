"""The parser of the script's report: it cuts no number short, however the engine splits the report."""

import pytest

from dockerexec_ws.engine.kill.report import Report

TEXT = b"users 0:0 1000:100\nseen A=1 B=2\nleft 12\n"
USERS = ("0:0", "1000:100")
SEEN = {"A=1", "B=2"}


def report_of(*pieces):
    report = Report()
    for piece in pieces:
        report.feed(piece)
    return report


@pytest.mark.parametrize("position", range(len(TEXT) + 1))
def test_only_complete_lines_count(position):
    report = report_of(TEXT[:position])
    complete = TEXT[:position].count(b"\n")
    assert report.users == (USERS if complete >= 1 else ())
    assert report.seen == (SEEN if complete >= 2 else set())
    assert report.left == (12 if complete >= 3 else None)
    report.feed(TEXT[position:])
    assert (report.users, report.seen, report.left) == (USERS, SEEN, 12)


def test_a_report_in_single_bytes():
    report = report_of(*(bytes([byte]) for byte in TEXT))
    assert (report.users, report.seen, report.left) == (USERS, SEEN, 12)


def test_nothing_seen():
    assert report_of(b"users 0:0\nseen\nleft 0\n").seen == set()
    assert report_of(b"users 0:0\nseen \nleft 0\n").seen == set()


@pytest.mark.parametrize(
    "line",
    [b"", b"left", b"left ", b"left -1", b"left 1 2", b"left x", b" left 1", b"left 12345678", b"left 1\r", b"unseen"],
)
def test_other_lines_are_ignored(line):
    report = report_of(line + b"\n")
    assert (report.users, report.seen, report.left) == ((), set(), None)
    report.feed(TEXT)
    assert (report.users, report.seen, report.left) == (USERS, SEEN, 12)


@pytest.mark.parametrize("line", [b"users", b"users ", b"users 0", b"users 0:0 root", b"users 0:-1", b"users  0:0"])
def test_users_are_numbers(line):
    assert report_of(line + b"\n").users == ()


def test_what_follows_the_report_is_ignored():
    assert report_of(TEXT + b"left 3\n", b"seen C=3\n", b"users 1:1\n").left == 12
    assert report_of(TEXT + b"users 1:1\nseen C=3\n").seen == SEEN
