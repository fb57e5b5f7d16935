"""The page in a real browser, against a real server: sessions from the click to the message about their end."""

import hashlib

from dockerexec_ws.protocol.terminal import SHELL
from tests.browser.conftest import page_of
from tests.conftest import processes, wait_until


def test_what_is_typed_is_answered_and_the_exit_code_told(tab):
    tab.connect("bash")
    tab.type("echo $((6*7))\n")
    tab.wait_for(r"(?m)^42\s*$")
    assert tab.status() == "Running: bash"
    tab.type("exit 3\n")
    tab.wait_for_status(r"^Ended with exit code 3\.$")
    tab.wait_for("── Ended with exit code 3. ─")


def test_one_press_gives_a_shell(tab, server):
    tab.wait_for("Press Connect for a shell", "#welcome")
    tab.press("Enter")
    tab.wait_for_status("^Running: Shell$")
    (session,) = server.sessions
    assert (session.argv, session.tty) == (SHELL, True)
    tab.type("echo $0 $((6*7))\n")
    tab.wait_for(r"(?m)^bash 42\s*$")
    tab.type("exit\n")
    tab.wait_for_status(r"^Ended with exit code 0\.$")


def test_a_line_with_shell_syntax_is_run_by_a_shell_which_is_said_before(tab, server):
    tab.wait_for("Press Connect for a shell", "#welcome")
    tab("fill", "input[name=command]", "echo a b")
    assert not tab("is_visible", "#by-shell")
    tab("fill", "input[name=command]", "printf '%s\\n' one two | head -n 1; echo $((6*7))")
    tab.wait_for(r"What runs: sh -c 'printf .* \| head -n 1; echo \$\(\(6\*7\)\)'$", "#by-shell")
    tab("click", "#connect")
    tab.wait_for(r"one\s*\n42\s*\n── Ended with exit code 0")
    tab("uncheck", "[name=shell]")
    tab("fill", "input[name=command]", "echo a | b")
    tab.wait_for(r"What runs: echo a '\|' b$", "#by-shell")
    tab("click", "#connect")
    tab.wait_for(r"a \| b\s*\n── Ended with exit code 0")


def test_where_no_shell_is_allowed_none_is_offered(open_tab, serve):
    tab = open_tab(page_of(serve(allow_command=["echo"])))
    wait_until(lambda: tab("input_value", "input[name=command]") == "echo")
    tab("fill", "input[name=command]", "")
    tab("click", "#connect")
    assert tab.status() == "Not connected."
    tab("fill", "input[name=command]", "echo a | b")
    assert not tab("is_visible", "#by-shell")
    tab("click", "#connect")
    tab.wait_for(r"a \| b\s*\n── Ended with exit code 0")


def test_bytes_typed_are_utf_8(tab):
    tab.connect("bash -c 'read -r line; printf %s \"$line\" | md5sum'")
    text = "grüße 漢字 🙂"
    tab("keyboard.insert_text", text)
    tab.press("Enter")
    tab.wait_for(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def test_without_a_tty_lines_are_sent_and_stderr_has_a_colour(tab):
    tab.connect(
        "bash -c 'echo out; echo err >&2; while read -r line; do echo \"<$line>\"; done; echo end; exit 5'", tty=False
    )
    tab.wait_for(r"(?s)out\nerr|err\nout")
    colours = tab(
        "evaluate",
        "() => ['out', 'err'].map((text) => getComputedStyle([...document.querySelectorAll('.xterm-rows span')]"
        ".find((span) => span.textContent.startsWith(text))).color)",
    )
    assert len(set(colours)) == 2
    tab.type("abx漢")
    tab.wait_for("abx漢")
    tab.press("Backspace", "Backspace")
    tab.type("c")
    tab.press("ArrowUp", "Enter")
    tab.wait_for(r"(?m)^abc\s*\n<abc>")
    tab.press("Control+d")
    tab.wait_for("end")
    tab.wait_for_status(r"^Ended with exit code 5\.$")


def test_ctrl_c_without_a_tty_disconnects(tab, server, container, docker_api):
    tab.connect("sleep 1000", tty=False)
    wait_until(lambda: server.sessions)
    tab.press("Control+c")
    tab.wait_for_status(r"^Disconnected\.$")
    wait_until(lambda: not server.sessions)


def test_reconnecting_keeps_what_is_on_the_screen(tab, server):
    started = []
    server.subscribe("session", started.append)
    tab.connect("bash -c 'printf \"\\033[?25l\\033[?1049h\\033[31mfirst\\033[?1049l one\"'")
    tab.wait_for("── Ended with exit code 0")
    assert tab("inner_text", "#connect") == "Reconnect"
    tab.connect("bash -c 'echo second; read'")
    tab.wait_for(r"(?s)one\s*\n── Ended with exit code 0\. ─+\s*\nsecond")
    tab("click", "#disconnect")
    tab.wait_for_status(r"^Disconnected\.$")
    tab.wait_for("── Disconnected. ─")
    wait_until(lambda: not server.sessions)
    assert len(started) == 2


def test_the_next_session_begins_after_the_last_output_of_the_one_before(tab):
    tab.connect("yes before")
    tab.wait_for("before")
    tab(
        "evaluate",
        """() => {
          const connect = document.getElementById('connect');
          document.querySelector('input[name=command]').value = `bash -c 'read -r line; echo "<$line>"; read'`;
          new MutationObserver((_, observer) => {
            if (connect.hidden) return;
            observer.disconnect();
            connect.click();
          }).observe(connect, {attributeFilter: ['hidden']});
          document.getElementById('disconnect').click();
        }""",
    )
    tab.wait_for_status("^Running: bash")
    tab.wait_for("Disconnected")
    tab.type("typed\n")
    tab.wait_for("<typed>")
    assert "before" not in tab.rows().partition("Disconnected.")[2]


def test_leaving_the_page_ends_the_process(tab, server, container, docker_api):
    tab.connect("sleep 1000")
    wait_until(lambda: processes(docker_api, container))
    tab("goto", "about:blank")
    wait_until(lambda: not server.sessions)
    wait_until(lambda: processes(docker_api, container) == [])
    tab("goto", page_of(server))
