"""Sessions on a stand-in engine, which does what a real engine cannot be made to do."""

import pytest

from dockerexec_ws import DockerExecServer
from tests.peer import Peer, Transcript
from tests.standin import StandInEngine, frame

KILLED = frame(1, b"users 0:0\nseen\nleft 0\n")  # here the session and the killing script share one stream
ENDED = {"Running": False, "ExitCode": 3, "Pid": 1}
UNKNOWN = {"Running": False, "ExitCode": None, "Pid": 1}


@pytest.fixture
def run(tmp_path):
    """A function that runs a session on a stand-in engine and returns its Transcript."""

    def run(argv=("x",), *, tty=False, **options):
        with (
            StandInEngine(tmp_path / "s", **options) as standin,
            DockerExecServer(
                "c", port=0, path="x", docker_host=standin.address, engine_timeout=1, state_dir=tmp_path
            ) as server,
            Peer(server.url, *argv, tty=tty) as peer,
        ):
            return Transcript(peer)

    return run


def test_head_and_first_frames_in_one_segment(run):
    transcript = run(
        stream=frame(1, b"first ") + frame(2, b"err") + frame(1, b"") + frame(1, b"second"), states=[ENDED]
    )
    assert (transcript.stdout, transcript.stderr) == (b"first second", b"err")
    assert transcript.exit_code == 3
    assert transcript.close_code == 1000


def test_an_exit_code_that_the_engine_does_not_tell_is_not_invented(run):
    transcript = run(stream=KILLED + frame(1, b"output"), states=[UNKNOWN])
    assert transcript.stdout.endswith(b"output")
    assert transcript.exit_code is None
    assert "exit code" in transcript.errors[0]
    assert transcript.close_code == 1011


@pytest.mark.parametrize("stream", [frame(1, b"cut short")[:-1], frame(1, b"x") + b"\1\0\0", b"\7\0\0\0\0\0\0\1x"])
def test_a_stream_that_is_cut_or_garbled_never_ends_in_200(run, stream):
    transcript = run(stream=KILLED + stream, states=[ENDED])
    assert transcript.exit_code is None
    assert len(transcript.errors) == 1
    assert transcript.close_code == 1011


def test_an_engine_that_hangs_is_an_error_within_a_bound(tmp_path):
    with (
        StandInEngine(tmp_path / "s", hang_on="/exec") as standin,
        DockerExecServer(
            "c", port=0, path="x", docker_host=standin.address, engine_timeout=1, state_dir=tmp_path
        ) as server,
        Peer(server.url, "x") as peer,
    ):
        transcript = Transcript(peer)
    assert transcript.errors == ["the Docker Engine did not answer within 1 s"]
    assert transcript.close_code == 1011


def test_a_start_that_the_engine_refuses(tmp_path, caplog):
    with (
        StandInEngine(tmp_path / "s") as standin,
        DockerExecServer(
            "c", port=0, path="x", docker_host=standin.address, engine_timeout=1, state_dir=tmp_path
        ) as server,
        Peer(server.url, "x") as peer,
    ):
        standin.start_answer = b"409 Conflict", {"message": "container c0ffee is not running"}
        transcript = Transcript(peer)
    assert transcript.errors == ["container c0ffee is not running"]
    assert transcript.close_code == 1011
    assert "Traceback" not in caplog.text


def test_a_start_that_opens_no_stream(tmp_path):
    with (
        StandInEngine(tmp_path / "s") as standin,
        DockerExecServer("c", port=0, path="x", docker_host=standin.address, engine_timeout=1) as server,
        Peer(server.url, "x") as peer,
    ):
        standin.start_answer = b"200 OK", {}
        transcript = Transcript(peer)
    assert transcript.errors == [
        "the engine answered 200 instead of 101: a proxy before the engine does not pass on upgrades "
        "(docker exec fails there, too)"
    ]
    assert transcript.close_code == 1011
