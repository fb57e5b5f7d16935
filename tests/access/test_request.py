"""Parse queries into requests."""

import pytest

from dockerexec_ws.access.request import ExecRequest, parse_request
from dockerexec_ws.errors import RequestRefusedError


@pytest.mark.parametrize(
    ("query", "request_"),
    [
        ("", ExecRequest()),
        ("command=a+b&command=", ExecRequest(argv=("a b", ""))),
        ("command=a&tty=TRUE&privileged=true", ExecRequest(argv=("a",), tty=True, privileged=True)),
        ("tty=true&tty=no", ExecRequest()),
        ("user=a&user=b&workdir=/x", ExecRequest(user="b", workdir="/x")),
        ("env=A=1&env=B==%0A", ExecRequest(environment=("A=1", "B==\n"))),
        ("rows=24&columns=65535", ExecRequest(size=(24, 65535))),
        ("nonsense=1", ExecRequest()),
    ],
)
def test_what_is_asked_for(query, request_):
    assert parse_request(query) == request_


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("command=%FF", "UTF-8"),
        ("command=a%00b", "command: "),
        ("user=%00", "user: "),
        ("workdir=%00", "workdir: "),
        ("env=A", "env: "),
        ("env==1", "env: "),
        ("env=", "env: "),
        ("env=A=%00", "env: "),
        ("env=APP_A%0ALD_PRELOAD=x", "env: a name has"),
        ("env=1A=x", "env: a name has"),
        ("env=%C3%84=x", "env: a name has"),
        ("env=A%20B=x", "env: a name has"),
        ("env=DOCKEREXEC_WS_SESSION=x", "env: not allowed"),
        ("rows=24", "columns: "),
        ("columns=80", "rows: "),
        *[(f"rows={value}&columns=80", "rows: ") for value in ("0", "-1", "65536", "x", "", "1e3", "%D9%A1", "0x10")],
        ("rows=24&columns=999999999999", "columns: "),
    ],
)
def test_what_makes_no_sense_is_named(query, text):
    with pytest.raises(RequestRefusedError) as refused:
        parse_request(query)
    assert text in str(refused.value)
