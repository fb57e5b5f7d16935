"""The page in a real browser, against a real server: sessions from the click to the word about their end."""

import hashlib

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
