"""An engine behind proxies that do not pass on all of its streams."""

import pytest
from websockets.frames import Opcode

from tests.peer import Peer, Transcript, masked
from tests.proxies import nginx
from tests.standin import StandInEngine


@pytest.fixture(scope="module")
def behind_nginx(docker_host, tmp_path_factory):
    with nginx(docker_host.removeprefix("unix://"), tmp_path_factory.mktemp("nginx")) as address:
        yield address


BROKEN_OFF = "the engine, or a proxy before it, broke off the stream before the command started"
CUT = "output may be lost, because nginx, a proxy before the engine, broke off the output when stdin ended."


def run(server, *argv, **options):
    with Peer(server.url, *argv, **options) as peer:
        return Transcript(peer)


def test_nginx_breaks_off_a_command_whose_stdin_ends_at_once(serve, behind_nginx):
    """The engine then mostly gives the command up, with an exit code of 126, or starts it and loses its output."""
    server = serve(docker_host=behind_nginx)
    end = masked(Opcode.BINARY, b"\x00abc") + masked(Opcode.BINARY, b"\x66")
    told = set()
    for _ in range(3):
        transcript = run(server, "sh", "-c", "wc -c; sleep 1; echo late; exit 7", send_at_once=end)
        assert (transcript.exit_code, transcript.close_code) == (None, 1011)
        told.update(transcript.errors)
    assert all(text.startswith((BROKEN_OFF, CUT)) for text in told)


def test_a_command_that_the_engine_gave_up_has_no_exit_code(serve, tmp_path):
    never_started = {"Running": False, "ExitCode": 126, "Pid": 0}
    with StandInEngine(tmp_path / "s", states=[never_started]) as standin:
        transcript = run(serve("c", docker_host=standin.address, on_disconnect="leave"), "x")
    assert (transcript.exit_code, transcript.errors, transcript.close_code) == (None, [BROKEN_OFF], 1011)


def test_nginx_breaks_off_the_output_of_a_command_whose_stdin_ends(serve, behind_nginx):
    """The process would be ended with an exit code, and its client would never know that output is missing."""
    with Peer(serve(docker_host=behind_nginx).url, "sh", "-c", "echo up; cat; echo late; exit 7").ready() as peer:
        assert peer.until(b"up\n") == b"up\n"
        peer.stdin(b"abc")
        peer.end()
        transcript = Transcript(peer)
    assert transcript.exit_code is None
    assert len(transcript.errors) == 1
    assert transcript.errors[0].startswith(CUT)
    assert transcript.close_code == 1011


def test_behind_nginx_what_ends_before_its_stdin_is_whole(serve, behind_nginx):
    server = serve(docker_host=behind_nginx)
    transcript = run(server, "sh", "-c", "echo out; echo err >&2; exit 126")
    assert (transcript.stdout, transcript.stderr, transcript.exit_code) == (b"out\n", b"err\n", 126)
    transcript = run(server, "nosuch")
    assert (transcript.exit_code, transcript.errors) == (126, [])
    assert b"nosuch" in transcript.stderr
    assert run(server, "sh", "-c", "exit 126").exit_code == 126
    assert run(server, "nosuch", tty=True).exit_code == 126
