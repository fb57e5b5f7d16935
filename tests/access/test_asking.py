"""What clients ask for and get, or do not: over the wire, against a real engine."""

import json
import time
from urllib.parse import unquote, urlencode

import gevent
import pytest

from dockerexec_ws import ContainerNotFoundError, DockerExecServer, SettingsError
from dockerexec_ws.access import targets as targets_module
from dockerexec_ws.access.identity import Identity
from dockerexec_ws.access.policy import Narrowing
from dockerexec_ws.engine.client import Engine
from dockerexec_ws.observe.audit import STRANGERS
from tests.conftest import processes, running_container, wait_until
from tests.peer import HandshakeError, Peer
from tests.standin import StandInEngine, frame


def ask(url, *argv, **fields):
    """The Transcript of a session that asks for more than a command; lists are given one by one."""
    query = urlencode([("command", word) for word in argv] + list(fields.items()), doseq=True)
    return Peer(url, query=query).transcript()


def assert_refused(transcript, text, docker_api, container):
    assert transcript.errors == [text]
    assert transcript.messages == [b"\xca" + text.encode()]
    assert transcript.close_code == 1008
    assert not docker_api.inspect_container(container)["ExecIDs"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"user": "1000"}, "user: not allowed"),
        ({"workdir": "/tmp"}, "workdir: not allowed"),
        ({"env": "A=1"}, "env: not allowed"),
        ({"privileged": "true"}, "privileged: not allowed"),
        ({"rows": "0", "columns": "1"}, "rows: give a number from 1 to 65535"),
    ],
)
def test_without_a_policy(server, container, docker_api, fields, text):
    assert_refused(ask(server.url, "true", **fields), text, docker_api, container)


def test_a_policy_that_widens(serve):
    server = serve(allow_user=["1000:1000"], allow_workdir=["/tmp"], allow_env=["A", "B*"])
    fields = {"user": "1000:1000", "workdir": "/tmp", "env": ["A=1 =2", "BC=\n"]}
    script = 'id -u; pwd; echo $A; printf %s "$BC" | od -An -c'
    output = ask(server.url, "bash", "-c", script, **fields).stdout.decode().splitlines()
    assert output == ["1000", "/tmp", "1 =2", "  \\n"]


def test_privileges(tmp_path):
    """A machine that is itself confined cannot give them: the engine is only told to."""
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
    peer.end()  # is no stdin
    assert peer.transcript().stdout.split(b"\r\n")[-2] == b"11 22"
    assert server.sessions == [] or server.sessions[0].bytes_in == 0


def test_initial_rows_and_columns(serve):
    """Before API 1.42 they come at once after the start, which a program may just not see yet."""
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
    """With a newer engine than this machine's: before the program's first output."""
    ended = {"Running": False, "ExitCode": 0, "Pid": 1}
    with StandInEngine(tmp_path / "s", api_version="1.42", states=[ended], stream=b"x") as standin:
        with DockerExecServer("c", port=0, path="x", docker_host=standin.address) as server:
            transcript = ask(server.url, "x", tty="true", rows="33", columns="133")
        assert transcript.exit_code == 0
        created = [body for request, body in standin.bodies if request.endswith("/exec")]
        assert [body["ConsoleSize"] for body in created if body.get("Tty")] == [[33, 133]]
        assert not [request for request in standin.requests if "/resize" in request]


def test_a_client_cannot_take_the_sessions_mark_away(serve, container, docker_api):
    """By which its processes are found at its end."""
    server = serve(allow_env=["*"])
    text = "env: not allowed"
    assert_refused(ask(server.url, "true", env="DOCKEREXEC_WS_SESSION=x"), text, docker_api, container)


# Several containers


@pytest.fixture
def second_container(docker_api):
    with running_container(docker_api) as name:
        yield name


@pytest.fixture
def serve_several(docker_host):
    servers = []

    def start(**options):
        servers.append(DockerExecServer(**{"port": 0, "path": "x", "docker_host": docker_host} | options))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def assert_runs_in(url, docker_api, container):
    hostname = docker_api.inspect_container(container)["Config"]["Hostname"]
    assert ask(url, "uname", "-n").stdout.decode() == f"{hostname}\n"


def assert_there_is_none(url):
    transcript = ask(url, "true")
    name = unquote(url.partition("/x/")[2], errors="replace")
    assert transcript.errors == [f"No container named {name[:64]!r} is available."]
    assert transcript.close_code == 1008


def test_containers_by_name(serve_several, container, second_container, docker_api):
    server = serve_several(allow_container=[container, "dockerexec-ws-test-*"])
    for name in (container, second_container):
        assert_runs_in(f"{server.url}/{name}", docker_api, name)
        identifier = docker_api.inspect_container(name)["Id"]
        assert_runs_in(f"{server.url}/{identifier[:12]}", docker_api, name)
    assert_there_is_none(f"{server.url}/servertest")  # which is there, but not allowed
    assert_there_is_none(f"{server.url}/nosuch")
    for odd in ("/", "/a/b", "/..", "/%2e%2e", "/" + "a" * 300, "/%ff", "//"):
        assert_there_is_none(server.url + odd) if odd.strip("/") else None
    assert ask(server.url, "true").errors == [
        "No container was named. Add its name to the URL's path, as in PATH/CONTAINER."
    ]
    with pytest.raises(HandshakeError) as refused:
        Peer(server.url.replace("/x", "/y"), "true")
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("path", ["/", "/a/b/"])
def test_containers_below_any_path(serve_several, container, docker_api, path):
    server = serve_several(allow_container=["*"], path=path)
    assert_runs_in(f"{server.url.rstrip('/')}/{container}", docker_api, container)


@pytest.mark.parametrize(
    ("label", "found"),
    [("dockerexec-ws.test", True), ("dockerexec-ws.test=1", True), ("dockerexec-ws.test=2", False), ("other", False)],
)
def test_containers_by_label(serve_several, container, docker_api, label, found):
    server = serve_several(allow_container_label=[label])
    if found:
        assert_runs_in(f"{server.url}/{container}", docker_api, container)
    else:
        assert_there_is_none(f"{server.url}/{container}")


def test_the_processes_of_sessions_in_several_containers_end(serve_several, container, second_container, docker_api):
    server = serve_several(allow_container=["*"])
    peers = [Peer(f"{server.url}/{name}", "sleep", "1000").ready() for name in (container, second_container)]
    for peer in peers:
        peer.vanish()
    wait_until(lambda: server.sessions == [])
    for name in (container, second_container):
        wait_until(lambda name=name: processes(docker_api, name) == [], timeout=2)


def test_the_container_that_the_server_runs_in(serve_several, serve, container, docker_host, docker_api, monkeypatch):
    own = docker_api.inspect_container(container)["Id"]
    monkeypatch.setattr(targets_module, "own_container_id", lambda: own)
    with pytest.raises(SettingsError, match="--allow-own-container"):
        serve()
    server = serve_several(allow_container=["*"])
    assert_there_is_none(f"{server.url}/{container}")
    server = serve_several(allow_container=["*"], allow_own_container=True)
    assert_runs_in(f"{server.url}/{container}", docker_api, container)
    assert ask(serve(allow_own_container=True).url, "true").exit_code == 0


def test_one_container_or_several(docker_host):
    for options in ({}, {"container_id": "a", "allow_container": ["b"]}):
        with pytest.raises(SettingsError, match="one container for all sessions"):
            DockerExecServer(docker_host=docker_host, **options)


def test_a_fixed_container_has_nothing_below_its_path(server):
    with pytest.raises(HandshakeError) as refused:
        Peer(f"{server.url}/x", "true")
    assert refused.value.response.status_code == 404


def test_a_missing_container_at_start(docker_host):
    with pytest.raises(ContainerNotFoundError):
        DockerExecServer("nosuch", port=0, docker_host=docker_host).start()


def test_what_the_engine_tells_of_a_container(docker_host, container, docker_api):
    state = Engine(docker_host, timeout=30).container_state(container)
    assert (state.name, state.labels["dockerexec-ws.test"]) == (container, "1")


# Signed tokens that narrow


def as_identity(**narrowing):
    return {"authenticators": [lambda _: Identity("alice", Narrowing(**narrowing))]}


def test_what_a_token_narrows(serve, container, docker_api):
    server = serve(**as_identity(command=("echo", "hi"), tty=False))
    assert ask(server.url).stdout == b"hi\n"
    assert ask(server.url, "echo", "hi").stdout == b"hi\n"
    assert_refused(ask(server.url, "echo", "ho"), "command: not allowed", docker_api, container)
    assert_refused(ask(server.url, tty="true"), "tty: not allowed", docker_api, container)


def test_a_token_does_not_widen(serve, container, docker_api):
    server = serve(allow_command=["ls"], **as_identity(command=("echo", "hi")))
    assert_refused(ask(server.url), "command: not allowed", docker_api, container)
    server = serve(**as_identity(user="1000"))
    assert_refused(ask(server.url, "id"), "user: not allowed", docker_api, container)
    server = serve(allow_user=["1000"], **as_identity(user="1000"))
    assert ask(server.url, "id", "-u").stdout == b"1000\n"


def test_a_tokens_containers(serve, serve_several, container, second_container, docker_api):
    assert ask(serve(**as_identity(containers=("dockerexec-ws-test-*",))).url, "true").exit_code == 0
    assert ask(serve(**as_identity(containers=("other",))).url, "true").close_code == 1008
    server = serve_several(allow_container=["*"], **as_identity(containers=(container,)))
    assert_runs_in(server.url, docker_api, container)
    assert_runs_in(f"{server.url}/{container}", docker_api, container)
    assert_there_is_none(f"{server.url}/{second_container}")


def test_a_tokens_deadline(serve, container, docker_api):
    server = serve(**as_identity(deadline=time.time() + 1))
    transcript = ask(server.url, "sleep", "1000")
    assert transcript.errors == ["session limit: its deadline has passed"]
    assert transcript.close_code == 1008
    wait_until(lambda: processes(docker_api, container) == [], timeout=2)
    assert_refused(ask(server.url, "true"), "deadline: it has passed", docker_api, container)


# How many


def test_sessions_per_identity(serve):
    server = serve(
        max_sessions_per_identity=1, authenticators=[lambda environ: environ["HTTP_AUTHORIZATION"].split()[1]]
    )

    def peer(name):
        return Peer(server.url, "cat", headers=[("Authorization", f"Bearer {name}")])

    alice, bob = peer("alice").ready(), peer("bob").ready()
    transcript = peer("alice").transcript()
    assert transcript.errors == ["too many sessions of this identity are active"]
    assert transcript.close_code == 1013
    alice.end()
    assert alice.transcript().exit_code == 0
    wait_until(lambda: len(server.sessions) == 1)
    again = peer("alice").ready()
    for each in (bob, again):
        each.end()
        assert each.transcript().exit_code == 0


def test_a_quota_holds_for_sessions_that_start_at_once(serve_several, container):
    """Between the question and the start the engine is asked."""
    server = serve_several(allow_container=["*"], max_sessions_per_address=2, max_sessions=50)
    peers = [Peer(f"{server.url}/{container}", "cat") for _ in range(8)]
    wait_until(lambda: len(server.sessions) == 2)
    ended = [gevent.spawn(peer.transcript) for peer in peers]
    wait_until(lambda: sum(greenlet.ready() for greenlet in ended) == 6)
    for session in list(server.sessions):
        session.shutdown()
    codes = sorted(greenlet.get().close_code for greenlet in ended)
    assert codes == [1001] * 2 + [1013] * 6


def test_a_full_server_stays_full(serve):
    """Who is refused frees no place."""
    server = serve(max_sessions=1)
    peer = Peer(server.url, "cat").ready()
    for _ in range(3):
        assert Peer(server.url, "cat").transcript().close_code == 1013
    peer.end()
    assert peer.transcript().exit_code == 0


def test_sessions_per_address_and_starts_per_minute(serve):
    server = serve(max_sessions_per_address=1, max_starts_per_minute=3)
    cat = Peer(server.url, "cat").ready()
    assert ask(server.url, "true").errors == ["too many sessions of this address are active"]
    cat.end()
    assert cat.transcript().exit_code == 0
    for _ in range(2):
        wait_until(lambda: server.sessions == [])
        assert ask(server.url, "true").exit_code == 0
    wait_until(lambda: server.sessions == [])
    transcript = ask(server.url, "true")
    assert transcript.errors == ["too many sessions of this address were started within a minute"]
    assert transcript.close_code == 1013


# The audit log


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_audit_log(serve, container, docker_api, tmp_path):
    server = serve(audit_log=tmp_path / "audit", authenticators=[lambda _: "alice"], allow_user=["1000"])
    assert ask(server.url, "bash", "-c", "cat; exit 3", user="root").close_code == 1008
    with Peer(server.url, query="command=bash&command=-c&command=cat%3Bexit+3&user=1000") as peer:
        peer.stdin(b"hello")
        peer.end()
        assert peer.transcript().exit_code == 3
    gone = Peer(server.url, "sleep", "1000").ready()
    gone.vanish()
    wait_until(lambda: server.sessions == [])
    with pytest.raises(HandshakeError):
        Peer(server.url, "true", headers=[("Origin", "http://evil.example")])
    wait_until(lambda: len(lines(tmp_path / "audit")) == 6)
    who = {"identity": "alice", "address": "127.0.0.1", "origin": None}
    where = {"container": docker_api.inspect_container(container)["Id"], "container_name": container}
    refused, start, end, second, vanished, refusal = lines(tmp_path / "audit")
    assert refused.items() >= ({"event": "refusal", "reason": "user: not allowed"} | who).items()
    what = {"argv": ["bash", "-c", "cat;exit 3"], "user": "1000", "tty": False}
    assert start.items() >= ({"event": "start"} | who | where | what).items()
    assert end.items() >= ({"event": "end", "session": start["session"]} | who | where | what).items()
    assert (end["exit_code"], end["bytes_in"], end["bytes_out"]) == (3, 5, 5)
    assert (end["ending"], end["processes_left"]) == ("the process exited", None)
    assert 0 < end["duration"] < 10
    assert (vanished["session"], vanished["exit_code"]) == (second["session"], None)
    assert (vanished["ending"], vanished["processes_left"]) == ("the client is gone", False)
    assert refusal["event"] == "refusal"
    assert (refusal["identity"], refusal["origin"]) == (None, "http://evil.example")


def test_a_stranger_cannot_fill_the_audit_log(serve, tmp_path):
    server = serve(audit_log=tmp_path / "audit")
    for _ in range(STRANGERS + 2):
        with pytest.raises(HandshakeError):
            Peer(server.url, "true", headers=[("Origin", "null")])
    assert len(lines(tmp_path / "audit")) == STRANGERS


def test_without_its_audit_log_no_session_starts(serve, container, docker_api):
    server = serve(audit_log="/dev/full")
    transcript = ask(server.url, "true")
    assert transcript.errors == ["the server cannot keep its audit log"]
    assert transcript.close_code == 1013
    assert not docker_api.inspect_container(container)["ExecIDs"]
    assert server.sessions == []
    assert ask(serve(audit_log="/dev/full", audit_optional=True).url, "true").exit_code == 0
