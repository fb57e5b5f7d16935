"""Exit codes, and sessions that end by themselves."""

import pytest

from tests.conftest import processes, wait_until
from tests.peer import Peer, Transcript
from tests.session.commands import run


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 1", 1), ("exit 200", 200), ("exit 255", 255), ("kill -9 $$", 137)]
)
def test_exit_codes(server, script, code, tty):
    transcript = run(server.url, "bash", "-c", script, tty=tty)
    assert transcript.messages == [b"\x64", bytes([0xC8, code])]
    assert transcript.close_code == 1000


@pytest.mark.parametrize(("command", "text"), [("nosuch", b"not found"), ("/etc/passwd", b"permission denied")])
@pytest.mark.parametrize("tty", [False, True])
def test_a_command_that_cannot_be_run(server, command, text, tty):
    transcript = run(server.url, command, tty=tty)
    said, other = (transcript.stdout, transcript.stderr) if tty else (transcript.stderr, transcript.stdout)
    assert text in said
    assert other == b""
    assert transcript.exit_code == 126


def test_a_background_child_that_keeps_stdout_open_delays_the_end_by_2_s_only(server, container, docker_api):
    transcript = run(server.url, "bash", "-c", "echo main; sleep 33 & exit 5")
    assert transcript.stdout == b"main\n"
    assert transcript.exit_code == 5
    assert processes(docker_api, container) == ["sleep 33"]  # left alone, as docker exec does after a command ends
    with Peer(
        server.url,
        "bash",
        "-c",
        "kill $(grep -l sleep /proc/[0-9]*/comm | tr -cd '0-9\\n' | while read p; do "
        "grep -q 33 /proc/$p/cmdline && echo $p; done)",
    ) as peer:
        Transcript(peer)
    wait_until(lambda: processes(docker_api, container) == [])


def test_a_container_stopped_in_mid_session_ends_it_by_137(serve, own_container, docker_api):
    server = serve(own_container)
    with Peer(server.url, "bash", "-c", "echo up; sleep 1000").ready() as peer:
        peer.until(b"up")
        docker_api.kill(own_container)
        transcript = Transcript(peer)
    assert transcript.exit_code == 137
