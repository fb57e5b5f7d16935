"""What the policy lets clients ask for."""

import time

import pytest

from dockerexec_ws.access.policy import Narrowing, Policy
from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.errors import RequestRefusedError


def refused(check, **fields):
    """Return the parameter that is refused, or None."""
    try:
        check(ExecRequest(**({"argv": ("ls",)} | fields)))
    except RequestRefusedError as error:
        return str(error).partition(":")[0]
    return None


def test_without_a_policy():
    check = Policy().apply
    assert refused(check, argv=("any", "thing"), tty=True, size=(1, 1)) is None
    assert refused(check, argv=()).startswith("no command")
    for fields, parameter in [
        ({"user": "x"}, "user"),
        ({"workdir": "/"}, "workdir"),
        ({"environment": ("A=1",)}, "env"),
        ({"privileged": True}, "privileged"),
    ]:
        assert refused(check, **fields) == parameter


@pytest.mark.parametrize(
    ("commands", "argv", "allowed"),
    [
        (("ls",), ("ls", "-l"), True),
        (("ls",), ("lsof",), False),
        (("git*",), ("git-log",), True),
        (("/bin/*",), ("/bin/../etc/x",), False),
        (("git*",), ("git/../../bin/sh",), False),
        ((("/bin/../bin/ls", "-l"),), ("/bin/../bin/ls", "-l"), True),
        ((("cat", "/etc/hosts"),), ("cat", "/etc/hosts"), True),
        ((("cat", "/etc/hosts"),), ("cat", "/etc/hosts", "/etc/shadow"), False),
        ((("cat", "*"),), ("cat", "x"), False),
        ((), ("ls",), False),
        (("LS",), ("ls",), False),
    ],
)
def test_commands(commands, argv, allowed):
    assert (refused(Policy(commands=commands).apply, argv=argv) is None) == allowed


def test_a_policy_widens_and_narrows():
    policy = Policy(tty=False, users=["app", "1000:*"], workdirs=["/srv/*"], environment=["LC_*"], privileged=True)
    assert refused(policy.apply, tty=True) == "tty"
    assert refused(policy.apply, user="app", workdir="/srv/x", environment=("LC_ALL=C",), privileged=True) is None
    assert refused(policy.apply, user="1000:1000") is None
    assert refused(policy.apply, user="root") == "user"
    assert refused(policy.apply, workdir="/etc") == "workdir"
    assert refused(policy.apply, environment=("LC_ALL=C", "PATH=/x")) == "env"


def test_what_was_compared_is_what_runs():
    policy = Policy(commands=["/usr/bin/*"], workdirs=["/srv/*"])
    asked = ExecRequest(argv=("/usr/bin//id", "/x/../y"), workdir="/srv/a/../b")
    assert policy.apply(asked) == ExecRequest(argv=("/usr/bin/id", "/x/../y"), workdir="/srv/b")


def test_a_separator_leads_out_of_no_pattern():
    policy = Policy(commands=["/usr/bin/*"], users=["app*"], workdirs=["/srv/*"], environment=["APP_*"])
    assert refused(policy.apply, argv=("/usr/bin/../sbin/chroot",)) == "command"
    for fields, parameter in [
        ({"workdir": "/srv/../etc"}, "workdir"),
        ({"workdir": "/srv//..//etc"}, "workdir"),
        ({"user": "app:root"}, "user"),
        ({"user": "app:0"}, "user"),
        ({"environment": ("APP_A=1", "LD_PRELOAD=x")}, "env"),
    ]:
        assert refused(policy.apply, argv=("/usr/bin/id",), **fields) == parameter


def test_a_terminals_name_needs_no_permission():
    environment = ("TERM=tmux-256color", "COLORTERM=truecolor")
    assert Policy().apply(ExecRequest(argv=("ls",), tty=True, environment=environment)).environment == environment
    for variable in ("TERM=../../tmp/x", "TERM=", "TERM=a b", "COLORTERM=x\ny", f"TERM={'x' * 65}"):
        assert refused(Policy().apply, tty=True, environment=(variable,)) == "env"
    assert refused(Policy().apply, environment=("TERM=xterm",)) == "env"
    assert refused(Policy().apply, tty=True, environment=("TERM=xterm", "PATH=/x")) == "env"


def test_what_a_token_prescribes():
    narrowing = Narrowing(command=("ls", "-l"), user="app", tty=False)
    assert narrowing.apply(ExecRequest()) == ExecRequest(argv=("ls", "-l"), user="app")
    assert narrowing.apply(ExecRequest(argv=("ls", "-l"), user="app")).user == "app"
    assert refused(narrowing.apply, argv=("ls",)) == "command"
    assert refused(narrowing.apply, argv=("ls", "-l"), user="root") == "user"
    assert refused(narrowing.apply, argv=(), tty=True) == "tty"
    assert refused(Narrowing(deadline=time.time() - 1).apply) == "deadline"
    assert refused(Narrowing(deadline=time.time() + 60).apply) is None
