"""Sessions that do not end by themselves: each ending has its own exception, and no exit code is made up."""

import ssl
import subprocess
import sys
import time

import gevent
import pytest
from gevent.pool import Pool

from dockerexec_ws.access.token_file import new_token
from dockerexec_ws.client import ConnectionLost, EngineError, ServerShutdown, SessionRefused, connect, run
from tests.client.support import opened
from tests.conftest import processes, wait_until
from tests.relay import relay
from tests.serve.tls import Files


@pytest.fixture
def token_server(serve, tmp_path):
    """A server that requires a token, and the token."""
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    return serve(token_file=tmp_path / "tokens"), token


def test_too_many_sessions(serve):
    server = serve(max_sessions=1)
    with connect(server.url, ["cat"]), pytest.raises(SessionRefused, match=r"^Too many sessions active!$") as caught:
        connect(server.url, ["cat"])
    assert caught.value.status is None


def test_the_policy(serve):
    server = serve(allow_command=["echo"], allow_user=["65534"], allow_env=["A"], allow_workdir=["/tmp"])
    with pytest.raises(SessionRefused, match=r"^command: not allowed$"):
        connect(server.url, ["cat"])
    with pytest.raises(SessionRefused, match=r"^privileged: not allowed$"):
        connect(server.url, ["echo"], privileged=True)
    assert run(server.url, ["echo", "a"], user="65534", env={"A": "1"}, workdir="/tmp", check=True).returncode == 0


def test_what_is_asked_for_reaches_the_process(serve):
    server = serve(allow_user=["*"], allow_env=["*"], allow_workdir=["*"])
    command = ["sh", "-c", "id -u; pwd; echo $A$B"]
    done = run(server.url, command, user="65534", env={"A": "=& +", "B": "é"}, workdir="/proc", capture_output=True)
    assert done.stdout.decode() == "65534\n/proc\n=& +é\n"


def test_the_token(token_server):
    server, token = token_server
    assert run(server.url, ["true"], token=token).returncode == 0
    assert run(server.url, ["true"], headers={"authorization": f"Bearer {token}"}).returncode == 0
    for options in ({}, {"token": "wrong"}):
        with pytest.raises(SessionRefused, match=r"^Authentication is needed\.$") as caught:
            run(server.url, ["true"], **options)
        assert caught.value.status == 401


def test_the_session_limit(serve):
    server = serve(max_duration=3)  # on a busy machine the first output may take a second
    with pytest.raises(SessionRefused, match=r"^session limit: ") as caught:
        run(server.url, ["sh", "-c", "echo so far; sleep 1000"], capture_output=True)
    assert (caught.value.stdout, caught.value.stderr) == (b"so far\n", b"")


def test_the_server_shuts_down(serve):
    server = serve()
    process = connect(server.url, ["sh", "-c", "echo so far; exec sleep 1000"])
    assert process.stdout.readline() == b"so far\n"
    server.close()
    for act in (
        process.stdout.read,
        process.wait,
        process.poll,
        process.communicate,
        lambda: process.stdin.raw.write(b"x"),
    ):
        with pytest.raises(ServerShutdown):
            act()
    assert process.returncode is None
    process.close()


def test_communicate_has_both_streams_also_if_the_end_came_before(serve):
    server = serve()
    made = opened(server.url, ["sh", "-c", "echo so far >&2; exec sleep 1000"])
    process = made.process
    wait_until(lambda: made.session.unread)
    server.close()
    wait_until(lambda: made.session.over)
    with pytest.raises(ServerShutdown) as caught:
        process.communicate()
    assert (caught.value.stdout, caught.value.stderr) == (b"", b"so far\n")
    process.close()


def test_the_server_goes_away(serve):
    server = serve(drain_timeout=5)

    def refuses():
        try:
            connect(server.url, ["true"]).close()
        except (SessionRefused, ConnectionLost) as error:  # a 503, or the listener is closed already
            return error

    with connect(server.url, ["cat"]) as process:
        closing = gevent.spawn(server.close)
        wait_until(refuses)
        process.stdin.close()
        assert process.wait() == 0
    closing.join()


def test_the_engine_refuses(serve, own_container, docker_api):
    server = serve(own_container)
    docker_api.pause(own_container)
    with pytest.raises(EngineError, match=r"paused"):
        connect(server.url, ["true"])


def test_the_engine_is_lost(serve, docker_host):
    pool = Pool()
    engine = relay(docker_host.removeprefix("unix://"), spawn=pool)
    engine.start()
    server = serve(docker_host=f"tcp://127.0.0.1:{engine.server_port}", engine_timeout=2, on_disconnect="leave")
    process = connect(server.url, ["sh", "-c", "echo so far; read x; echo $x"])
    assert process.stdout.readline() == b"so far\n"
    engine.stop()
    pool.kill()
    with pytest.raises(EngineError):
        process.communicate(b"x\n")
    assert process.returncode is None
    process.close()


@pytest.fixture
def server_process(docker_host, container):
    """A server in a separate process that a test may kill or stop; it leaves processes behind."""
    command = [sys.executable, "-m", "dockerexec_ws", "--container", container, "--port", "0", "--path", "x"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.url = process.stdout.readline().split()[-1]
        yield process
        process.kill()


def test_the_server_is_killed(server_process, docker_api, container):
    process = connect(server_process.url, ["cat"])
    process.stdin.write(b"so far\n")
    process.stdin.flush()
    wait_until(lambda: process.stdout.peek() == b"so far\n")
    server_process.kill()
    assert process.stdout.readline() == b"so far\n"
    with pytest.raises(ConnectionLost, match=r"^the connection was lost$"):
        process.stdout.read()
    with pytest.raises(ConnectionLost):
        process.wait()
    process.close()
    wait_until(lambda: processes(docker_api, container) == [])  # the process saw the end of stdin


@pytest.mark.parametrize("busy", [False, True])
def test_the_server_hangs(server_process, docker_api, container, busy):
    """An unanswered ping reveals the hang, even while stdin waits for room at the server."""
    process = opened(server_process.url, ["sh", "-c", "cat >/dev/null"], ping_interval=0.3).process
    server_process.send_signal(subprocess.signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(ConnectionLost):
        process.stdin.write(bytes(1_000_000_000)) if busy else process.wait()
    assert time.monotonic() - begin < 10
    process.close()
    server_process.kill()
    server_process.wait()
    wait_until(lambda: processes(docker_api, container) == [])


def test_a_reader_that_does_not_read_is_alive(serve):
    """The client answers pings although nobody reads. The synchronous client of `websockets` would not."""
    server = serve(ping_interval=0.2, ping_timeout=0.4)
    process = connect(server.url, ["sh", "-c", "head -c 60000000 /dev/zero; exit 3"])
    gevent.sleep(2)  # ten intervals
    assert len(server.sessions) == 1
    assert len(process.stdout.read()) == 60_000_000
    assert process.wait() == 3
    process.close()


def test_an_idle_session_is_kept_by_the_clients_pings(serve):
    with opened(serve(ping_interval=0).url, ["cat"], ping_interval=0.1).process as process:
        gevent.sleep(1)
        assert process.poll() is None


class TestTls:
    @pytest.fixture
    def files(self, tmp_path):
        return Files(tmp_path)

    def test_much_both_ways(self, serve, files):
        data = bytes(range(256)) * 40_000
        done = run(serve(**files.options).url, ["cat"], input=data, capture_output=True, ssl_context=files.client())
        assert done.stdout == data

    def test_a_certificate_of_a_stranger(self, serve, files):
        server = serve(**files.options)
        with pytest.raises(ConnectionLost, match=r"^TLS with 127.0.0.1:\d+ failed: .*local issuer"):
            connect(server.url, ["true"])
        with pytest.raises(ConnectionLost):
            connect(server.url.replace("wss:", "ws:"), ["true"])

    def test_a_client_certificate(self, serve, files, tmp_path):
        (tmp_path / "ca.pem").write_bytes(files.ca.cert_pem.bytes())
        server = serve(**files.options, client_ca=tmp_path / "ca.pem")
        context = files.client()
        files.ca.issue_cert("somebody@example.org", common_name="somebody").configure_cert(context)
        names = []
        server.subscribe("session", lambda session: names.append(session.client.name))
        assert run(server.url, ["true"], ssl_context=context).returncode == 0
        assert names == ["somebody"]
        assert isinstance(context, ssl.SSLContext)
