"""What clients ask for, and whether they get it: over the wire, on a real engine."""

from urllib.parse import urlencode

import pytest

from dockerexec_ws import DockerExecServer
from tests.access.asking import ask, assert_refused
from tests.peer import Peer
from tests.standin import StandInEngine, frame


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"user": "1000"}, "user: not allowed. The server's option --allow-user can allow it."),
        ({"workdir": "/tmp"}, "workdir: not allowed. The server's option --allow-workdir can allow it."),
        ({"env": "A=1"}, "env: not allowed. The server's option --allow-env can allow it."),
        ({"privileged": "true"}, "privileged: not allowed. The server's option --allow-privileged can allow it."),
        ({"rows": "0", "columns": "1"}, "rows: give a number from 1 to 65535"),
    ],
)
def test_without_a_policy(server, container, docker_api, fields, text):
    assert_refused(ask(server.url, "true", **fields), text, docker_api, container)


@pytest.mark.parametrize("options", [{"allow_unauthenticated": True}, {"allow_user": ["other"]}])
def test_only_the_log_names_an_option_to_the_operator_of_others_clients(serve, caplog, options):
    server = serve(**options)
    for _ in range(2):
        assert ask(server.url, "true", user="app").errors == ["user: not allowed"]
    assert caplog.text.count("a client was told 'user: not allowed'. The option --allow-user can allow it.") == 1


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"user": "1000:0"}, "user: not allowed"),
        ({"user": "1000:root"}, "user: not allowed"),
        ({"workdir": "/tmp/../etc"}, "workdir: not allowed"),
        ({"env": "A1=x\nLD_PRELOAD=y"}, None),
        ({"env": "A1\nLD_PRELOAD=y"}, "env: a name has letters, digits and underscores, and begins with no digit"),
    ],
)
def test_no_separator_leads_out_of_a_pattern(serve, container, docker_api, fields, text):
    server = serve(allow_user=["10*"], allow_workdir=["/tmp/*"], allow_env=["A*"], allow_command=["/usr/bin/*"])
    transcript = ask(server.url, "/usr/bin/id", **fields)
    if text is None:
        assert transcript.exit_code == 0
    else:
        assert_refused(transcript, text, docker_api, container)
    assert_refused(ask(server.url, "/usr/bin/../sbin/chroot"), "command: not allowed", docker_api, container)


@pytest.mark.parametrize("number", ["1000", "+1000", "01000"])
def test_what_is_one_number_for_the_engine_is_one_for_a_pattern(serve, number):
    assert ask(serve(allow_user=["1000"]).url, "id", "-u", user=number).stdout == b"1000\n"


def test_the_terminals_name(serve, server):
    script = "echo $TERM $COLORTERM"
    assert ask(server.url, "sh", "-c", script, tty="true").stdout == b"xterm-256color\r\n"
    fields = {"tty": "true", "env": ["TERM=vt100", "COLORTERM=truecolor"]}
    assert ask(server.url, "sh", "-c", script, **fields).stdout == b"vt100 truecolor\r\n"
    assert ask(serve(term="").url, "sh", "-c", script, tty="true").stdout == b"xterm\r\n"
    assert ask(server.url, "sh", "-c", script, env="TERM=vt100").errors == [
        "env: not allowed. The server's option --allow-env can allow it."
    ]


def test_a_policy_that_widens(serve):
    server = serve(allow_user=["1000:1000"], allow_workdir=["/tmp"], allow_env=["A", "B*"])
    fields = {"user": "1000:1000", "workdir": "/tmp", "env": ["A=1 =2", "BC=\n"]}
    script = 'id -u; pwd; echo $A; printf %s "$BC" | od -An -c'
    output = ask(server.url, "bash", "-c", script, **fields).stdout.decode().splitlines()
    assert output == ["1000", "/tmp", "1 =2", "  \\n"]


def test_privileges(tmp_path):
    """A confined machine cannot grant privileges, so the test checks only what the server asks of the engine."""
    with StandInEngine(tmp_path / "s", stream=frame(1, b"x")) as standin:
        options = {"port": 0, "path": "x", "docker_host": standin.address}
        with DockerExecServer("c", allow_privileged=True, **options) as server:
            assert ask(server.url, "x", privileged="true").exit_code == 0
            assert ask(server.url, "x").exit_code == 0
    created = [body for request, body in standin.bodies if request.endswith("/exec") and body["Cmd"] == ["x"]]
    assert [body["Privileged"] for body in created] == [True, False]


def test_a_policy_that_narrows(serve, container, docker_api):
    server = serve(allow_command=["echo", ["cat", "/etc/passwd"]], allow_tty=False)
    assert ask(server.url, "echo", "any", "thing").stdout == b"any thing\n"
    assert ask(server.url, "cat", "/etc/passwd").stdout.startswith(b"root:")
    assert_refused(ask(server.url, "cat", "/etc/group"), "command: not allowed", docker_api, container)
    assert_refused(ask(server.url, "echo", tty="true"), "tty: not allowed", docker_api, container)


def test_the_policy_is_for_what_the_client_says_not_for_the_wrapper(serve):
    server = serve(allow_command=["hi"], wrapper_command=["echo"])
    assert ask(server.url, "hi").stdout == b"hi\n"


def test_a_read_only_session(serve):
    server = serve(read_only=True)
    program = "stty size; until [ \"$(stty size)\" = '11 22' ]; do :; done; read; stty size"
    peer = Peer(server.url, "bash", "-c", program, tty=True).ready()
    peer.until(b"\n")
    peer.stdin(b"\n")
    assert peer.receive() == b"\xcastdin: not allowed, this session is read-only"
    peer.resize(11, 22)
    peer.end()  # the end is not stdin
    assert peer.transcript().stdout.split(b"\r\n")[-2] == b"11 22"
    assert server.sessions == [] or server.sessions[0].bytes_in == 0


def test_initial_rows_and_columns(serve):
    """Before API 1.42 the size is set just after the start, and the program may read the old one first."""
    server = serve()
    for _ in range(5):
        output = ask(server.url, "bash", "-c", "sleep 0.2; stty size", tty="true", rows="33", columns="133").stdout
        assert output == b"33 133\r\n"


def test_a_program_that_has_read_something_knows_its_size(serve):
    query = urlencode({"tty": "true", "rows": 33, "columns": 133}) + "&command=sh&command=-c&command=read+x;stty+size"
    for _ in range(10):
        peer = Peer(serve().url, query=query).ready()
        peer.stdin(b"\n")
        assert peer.transcript().stdout == b"\r\n33 133\r\n"


def test_initial_rows_and_columns_at_create(tmp_path):
    """An engine newer than this machine's sets the size before the program's first output."""
    ended = {"Running": False, "ExitCode": 0, "Pid": 1}
    with StandInEngine(tmp_path / "s", api_version="1.42", states=[ended], stream=b"x") as standin:
        with DockerExecServer("c", port=0, path="x", docker_host=standin.address) as server:
            transcript = ask(server.url, "x", tty="true", rows="33", columns="133")
        assert transcript.exit_code == 0
        created = [body for request, body in standin.bodies if request.endswith("/exec")]
        assert [body["ConsoleSize"] for body in created if body.get("Tty")] == [[33, 133]]
        assert not [request for request in standin.requests if "/resize" in request]


def test_a_client_cannot_take_the_sessions_mark_away(serve, container, docker_api):
    """The mark serves to find the session's processes at its end."""
    server = serve(allow_env=["*"])
    text = "env: not allowed"
    assert_refused(ask(server.url, "true", env="DOCKEREXEC_WS_SESSION=x"), text, docker_api, container)
