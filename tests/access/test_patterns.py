"""Patterns: a value is compared in the form to which the kernel and the engine resolve it."""

import pytest

from dockerexec_ws.access.patterns import allowed_path, matches_user, plain_path


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/srv/../etc", "/etc"),
        ("/srv/./x//y/", "/srv/x/y"),
        ("//etc", "/etc"),
        ("///etc", "/etc"),
        ("/..", "/"),
        ("/", "/"),
        ("ls", "ls"),
        ("..", ".."),  # execve does not take this as a path: a shell looks it up in PATH
        ("./ls", "./ls"),
        ("bin/../ls", "./ls"),  # not "ls", which would be looked up in PATH
        ("git/../../bin/sh", "../bin/sh"),
        ("/srv/a\n/../b", "/srv/b"),
    ],
)
def test_a_path_is_made_plain(path, plain):
    assert plain_path(path) == plain


@pytest.mark.parametrize(
    ("path", "patterns", "allowed"),
    [
        ("/srv/a", ["/srv/*"], "/srv/a"),
        ("/srv/a/../b", ["/srv/*"], "/srv/b"),
        ("/srv/../etc", ["/srv/*"], None),
        ("/srv/..", ["/srv/*"], None),
        ("/srv//../srv/../etc", ["/srv/*", "/opt/*"], None),
        ("/usr/bin/../sbin/chroot", ["/usr/bin/*"], None),
        ("git/../../bin/sh", ["git*"], None),
        ("./../bin/sh", ["./*"], None),
        ("./manage.py", ["./*"], "./manage.py"),
        ("/srv/../etc", ["*"], "/srv/../etc"),  # the pattern keeps nothing out, so the path is not changed
        ("/srv/a", [], None),
        ("/srv", ["/srv/"], "/srv"),  # a pattern is normalized, too
        ("/srv/a", ["//srv/./*"], "/srv/a"),
    ],
)
def test_a_path_is_compared_when_it_is_plain(path, patterns, allowed):
    assert allowed_path(path, patterns) == allowed


@pytest.mark.parametrize(
    ("user", "pattern", "allowed"),
    [
        ("app1", "app*", True),
        ("app1:root", "app*", False),
        ("app1:", "app*", False),
        ("app:root:x", "app:*", False),
        ("app", "app:*", False),
        ("app:dev", "app:dev", True),
        ("app:root", "app:d*", False),
        (":root", "*", False),
        ("root", "*", True),
        ("root:root", "*", False),
        ("root:root", "*:*", True),
        ("0", "0", True),
        ("+0", "0", True),
        ("00", "0", True),
        ("-0", "0", True),
        ("1000:00", "1000:0", True),
        ("+00000000000000000000", "[!0]*", False),
        ("0" * 5000, "0", True),
        ("-1", "-1", True),
        ("+0", "[!0]*", False),
        ("00", "0?", False),
        ("root", "0", False),
        ("app\n:0", "app*", False),
        ("9" * 5000, "9*", True),
    ],
)
def test_user_and_group_are_compared_apart(user, pattern, allowed):
    assert matches_user(user, [pattern]) == allowed
