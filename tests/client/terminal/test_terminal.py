"""The client at a real terminal: tmux, with a shell that has the terminal before and after the client."""

import contextlib
import os
import signal
import socket

import pytest

from tests.client.terminal.tmux import Screen
from tests.conftest import processes, wait_until
from tests.settings.command import running

USABLE = "1 0 0 0 0 0 23"  # only the cursor is on


@pytest.fixture
def far(container, docker_host):
    """A server in a separate process: the process, and its URL."""
    with running("--container", container, "--docker-host", docker_host, "--port", "0") as (process, url):
        yield process, url
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait()


@pytest.fixture
def screen(far):
    with contextlib.closing(Screen(url=far[1])) as screen:
        yield screen


def start_bash(screen):
    """Start a shell in the container and wait for its prompt; return the terminal's mode from before."""
    before = screen.mode()
    screen.enter("$client $url -- env 'PS1=far> ' bash --norc")
    screen.wait_for_line("far>")
    return before


def start_vi(screen):
    before = screen.mode()
    screen.enter("$client $url -- env TERM=tmux-256color vi -u NONE /etc/passwd")
    screen.wait_for("root:x:0:0")
    wait_until(lambda: screen.flags() != USABLE)
    return before


def stopped(screen):
    """Whether the client is stopped."""
    for pid in screen.clients():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(") ")[2][0] == "T"
    return False


def ended(screen, before, status, *texts):
    """Check that the local shell is back, with the terminal as it was."""
    screen.wait_for_prompt()
    for text in texts:
        assert text in screen.lines(), screen.lines()
    assert screen.flags() == USABLE
    assert screen.result("echo $?") == str(status)
    assert screen.mode() == before


def test_a_shell(screen):
    before = start_bash(screen)
    screen.enter("tty; stty size; exit 5")
    screen.wait_for("/dev/pts/")
    screen.wait_for("24 80")
    ended(screen, before, 5)


def test_without_a_command_there_is_a_shell_with_this_terminals_name(screen):
    term = screen.result("echo $TERM")
    before = screen.mode()
    screen.enter("COLORTERM=truecolor $client $url")
    screen.wait_for("#")
    screen.enter("echo $((6*7)) $TERM $COLORTERM $0")
    screen.wait_for(f"42 {term} truecolor bash")
    screen.enter("exit 4")
    ended(screen, before, 4)


def test_a_full_screen_program(screen):
    before = start_vi(screen)
    for rows, columns in ((24, 80), (30, 100)):
        screen.resize(rows, columns)
        for text in (f"lines={rows}", f"columns={columns}"):

            def told(text=text):
                screen.enter(f":set {text.partition('=')[0]}?")
                return any(text in line for line in screen.lines())

            wait_until(told)
    screen.resize(24, 80)
    screen.enter(":q!")
    ended(screen, before, 0)


def test_control_keys_go_to_the_program(screen):
    before = start_bash(screen)
    screen.enter("""bash -c 'trap "echo got \\$((6*7))" INT; sleep 1000 & echo $((1+1)) runs; wait; kill $!'""")
    screen.wait_for("2 runs")
    screen.keys("C-c")
    screen.wait_for("got 42")
    # Ctrl-P, which `docker exec` holds back until the next key, and all keys that a terminal itself acts on.
    for key, code in {
        "C-p": "10",
        "C-c": "03",
        "C-z": "1a",
        "C-\\": "1c",
        "C-s": "13",
        "C-q": "11",
        "C-d": "04",
    }.items():
        # Each key has a separate text: the image has no `clear`, so the previous text is still on the screen.
        screen.enter(f"stty raw -echo; echo ready for $((0x{code})); head -c1 | od -An -tx1; stty sane")
        screen.wait_for(f"ready for {int(code, 16)}")
        screen.keys(key)
        screen.wait_for(f" {code}")
    screen.enter("exit 0")
    ended(screen, before, 0)


def test_an_interrupted_program_tells_its_status(screen):
    before = screen.mode()
    screen.enter("$client $url -- sh -c 'echo $((1+1)) ready; sleep 1000'")
    screen.wait_for("2 ready")
    screen.keys("C-c")
    ended(screen, before, 130)


def test_the_size_is_right_at_once_and_after_changes(screen):
    before = start_bash(screen)
    screen.enter("while :; do echo now $(stty size); read -t 0.1; done")
    screen.wait_for("now 24 80")
    screen.resize(40, 120)
    screen.wait_for("now 40 120")
    screen.resize(20, 70)
    screen.wait_for("now 20 70")
    screen.resize(24, 80)
    screen.keys("C-c")
    screen.enter("exit 1")
    ended(screen, before, 1)


def test_the_escape_leaves_a_session_that_hangs(screen, far):
    server, _ = far
    before = start_bash(screen)
    server.send_signal(signal.SIGSTOP)
    screen.enter("is anybody there")
    screen.type("~.")
    ended(screen, before, 125, "dockerexec-ws-client: left by the escape; the command is ended")


def test_the_escape_leaves_a_program_that_takes_no_input(screen, container, docker_api, tmp_path):
    """More text is pasted than the server reads."""
    (tmp_path / "text").write_text("x" * 5_000_000)
    before = screen.mode()
    screen.enter("$client $url -- sh -c 'stty raw -echo; echo $((1+1)) ready; sleep 1000'")
    screen.wait_for("2 ready")
    screen.paste(tmp_path / "text")
    screen.keys("Enter")
    screen.type("~.")
    ended(screen, before, 125)
    wait_until(lambda: processes(docker_api, container) == [])


def test_the_escape_can_be_another_or_none(screen):
    screen.enter("$client --escape none $url -- sh -c 'echo $((1+1)) ready; cat'")
    screen.wait_for("2 ready")
    screen.enter("~.")
    screen.wait_for_line("~.", "~.")
    screen.keys("C-d")
    screen.wait_for_prompt()
    assert screen.result("echo $?") == "0"
    screen.enter("$client --escape ^] $url -- sh -c 'echo $((1+1)) ready; cat'")
    screen.wait_for("2 ready")
    screen.enter("~.")
    screen.wait_for_line("~.", "~.")
    screen.keys("C-]")
    screen.type(".")
    screen.wait_for_prompt()
    assert screen.result("echo $?") == "125"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_is_lost(screen, far, number, container, docker_api):
    server, _ = far
    before = start_vi(screen)
    screen.keys("C-g")
    server.send_signal(number)
    text = "the connection was lost" if number == signal.SIGKILL else "the server was shut down"
    ended(screen, before, 125, f"dockerexec-ws-client: {text}")
    for pid in docker_api.top(container)["Processes"]:  # a killed server ends no processes
        if "vi" in pid[-1].split()[0]:
            os.kill(int(pid[1]), signal.SIGKILL)


def test_a_failure_has_a_line_of_its_own(screen, far, container, docker_api):
    before = screen.mode()
    screen.enter("$client $url -- sh -c 'printf half-a-line; exec cat'")
    screen.wait_for("half-a-line")
    wait_until(lambda: "half-a-line" in screen.lines())
    far[0].terminate()
    ended(screen, before, 125, "half-a-line", "dockerexec-ws-client: the server was shut down")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_restores_the_terminal(screen, number):
    before = start_vi(screen)
    (pid,) = screen.clients()
    os.kill(pid, number)
    ended(screen, before, 128 + number)


def test_stopped_and_continued(screen):
    before = start_bash(screen)
    (pid,) = screen.clients()
    os.kill(pid, signal.SIGTSTP)
    screen.wait_for("Stopped")
    screen.wait_for_prompt()
    assert screen.mode() == before
    screen.resize(30, 90)
    screen.enter("fg")
    screen.wait_for("$client $url")
    screen.keys("Enter")
    screen.enter("stty size; echo $((6*7))")
    screen.wait_for("42")
    assert "30 90" in screen.lines()
    screen.resize(24, 80)
    screen.keys("C-c")  # goes to the program again
    screen.enter("exit 9")
    ended(screen, before, 9)


def test_stopped_by_force_and_continued(screen):
    """The client cannot notice SIGSTOP. The shell then sets its own mode on the terminal."""
    before = start_bash(screen)
    (pid,) = screen.clients()
    os.kill(pid, signal.SIGSTOP)
    screen.wait_for("Stopped")
    screen.enter("fg")
    screen.wait_for("$client $url")
    screen.keys("Enter")
    screen.enter("echo $((6*7))")
    screen.wait_for("42")
    screen.keys("C-c")
    screen.enter("exit 9")
    ended(screen, before, 9)


def test_in_the_background(screen):
    before = screen.mode()
    screen.enter("$client $url -- env 'PS1=far> ' bash --norc &")
    wait_until(lambda: stopped(screen))
    screen.keys("Enter")
    screen.wait_for("Stopped")
    screen.enter("fg")
    screen.wait_for_line("far>")
    screen.enter("exit 3")
    ended(screen, before, 3)


def test_ctrl_c_while_it_connects(screen):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        before = screen.mode()
        screen.enter(f"$client ws://127.0.0.1:{nobody.getsockname()[1]}/ -- true")
        connection, _ = nobody.accept()
        with connection:
            screen.keys("C-c")
            ended(screen, before, 130)


def test_a_terminal_that_is_not_used_as_one(screen):
    """Without a tty the client sends whole lines, Ctrl-D ends stdin, and Ctrl-C ends the client."""
    before = screen.mode()
    screen.enter("$client --no-tty $url -- sh -c 'tty; cat; echo end'")
    screen.wait_for("not a tty")
    screen.enter("a line")
    screen.wait_for_line("a line", "a line")
    screen.keys("C-d")
    screen.wait_for_prompt()
    assert "end" in screen.lines()
    screen.enter("$client --no-tty $url -- sh -c 'echo $((1+1)) ready; sleep 1000'")
    screen.wait_for("2 ready")
    screen.keys("C-c")
    ended(screen, before, 130)


def test_a_pipe_is_no_terminal(screen):
    assert screen.result("$client $url -- sh -c 'test -t 1 || echo no tty' | cat") == "no tty"
    assert screen.result("echo | $client $url -- sh -c 'test -t 1 || echo no tty'") == "no tty"
    # Older engines set the size late.
    script = """while test "$(stty size)" = "0 0"; do sleep 0.05; done; stty size"""
    assert screen.result(f"$client --tty $url -- sh -c '{script}' </dev/null") == "24 80"
