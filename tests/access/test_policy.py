"""What may be asked for."""

import time

import pytest

from dockerexec_ws.access.policy import Narrowing, Policy
from dockerexec_ws.access.request import ExecRequest
from dockerexec_ws.errors import RequestRefusedError


def refused(check, **fields):
    """The parameter that is refused; None if none is."""
    try:
        check(ExecRequest(**({"argv": ("ls",)} | fields)))
    except RequestRefusedError as error:
        return str(error).partition(":")[0]
    return None


def test_without_a_policy():
    check = Policy().check
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
        (("/bin/*",), ("/bin/../etc/x",), True),  # a pattern is a pattern, no path
        ((("cat", "/etc/hosts"),), ("cat", "/etc/hosts"), True),
        ((("cat", "/etc/hosts"),), ("cat", "/etc/hosts", "/etc/shadow"), False),
        ((("cat", "*"),), ("cat", "x"), False),
        ((), ("ls",), False),
        (("LS",), ("ls",), False),
    ],
)
def test_commands(commands, argv, allowed):
    assert (refused(Policy(commands=commands).check, argv=argv) is None) == allowed


def test_a_policy_widens_and_narrows():
    policy = Policy(tty=False, users=["app", "1000:*"], workdirs=["/srv/*"], environment=["LC_*"], privileged=True)
    assert refused(policy.check, tty=True) == "tty"
    assert refused(policy.check, user="app", workdir="/srv/x", environment=("LC_ALL=C",), privileged=True) is None
    assert refused(policy.check, user="1000:1000") is None
    assert refused(policy.check, user="root") == "user"
    assert refused(policy.check, workdir="/etc") == "workdir"
    assert refused(policy.check, environment=("LC_ALL=C", "PATH=/x")) == "env"


def test_what_a_token_prescribes():
    narrowing = Narrowing(command=("ls", "-l"), user="app", tty=False)
    assert narrowing.apply(ExecRequest()) == ExecRequest(argv=("ls", "-l"), user="app")
    assert narrowing.apply(ExecRequest(argv=("ls", "-l"), user="app")).user == "app"
    assert refused(narrowing.apply, argv=("ls",)) == "command"
    assert refused(narrowing.apply, argv=("ls", "-l"), user="root") == "user"
    assert refused(narrowing.apply, argv=(), tty=True) == "tty"
    assert refused(Narrowing(deadline=time.time() - 1).apply) == "deadline"
    assert refused(Narrowing(deadline=time.time() + 60).apply) is None
