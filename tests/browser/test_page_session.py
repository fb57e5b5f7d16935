"""The page in a real browser, against a real server: sessions from the click to the word about their end."""

import hashlib
import re
from urllib.parse import quote

import pytest

from tests.browser.conftest import DESKTOP, PHONE, SIZED, page_of
from tests.conftest import processes, wait_until


@pytest.fixture
def tab(open_tab, server):
    return open_tab(page_of(server))


def row_count(tab):
    return tab("evaluate", "document.querySelectorAll('.xterm-rows > div').length")


def test_what_is_typed_is_answered_and_the_exit_code_told(tab):
    tab.connect("bash")
    tab.type("echo $((6*7))\n")
    tab.wait_for(r"(?m)^42\s*$")
    assert tab.status() == "Running: bash"
    tab.type("exit 3\n")
    tab.wait_for_status(r"^Ended with exit code 3\.$")
    tab.wait_for("── Ended with exit code 3. ─")


def test_the_program_has_the_terminals_size_from_the_start_and_as_it_changes(tab):
    tab.connect(f"bash -c '{SIZED} stty size; while read; do stty size; done'")
    first = tab.wait_for(r"(?m)^(\d+) (\d+)")
    assert int(first[0]) == row_count(tab)
    tab("set_viewport_size", {"width": 700, "height": 420})
    wait_until(lambda: row_count(tab) < int(first[0]))

    def last_size():
        tab.press("Enter")
        return [int(number) for number in re.findall(r"(?m)^(\d+) (\d+)\s*$", tab.rows())[-1]]

    wait_until(lambda: last_size()[0] == row_count(tab))  # the engine sets the size when it comes to it
    assert last_size()[1] < int(first[1])


def test_wide_and_combining_characters_take_the_columns_that_programs_think(tab):
    # The terminal's own answer to the program: the column in which the next character goes.
    script = r'printf "漢字|e\u0301|🙂|\033[6n"; IFS=";" read -rsd R _ column; echo " next $column"'
    tab.connect(f"bash -c '{script}'")
    tab.wait_for(r"漢字\|e\u0301\|🙂\| next 11")


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


def test_a_link_runs_nothing_before_the_click(open_tab, serve, tmp_path):
    server = serve(allow_user=["*"], allow_workdir=["*"], allow_env=["*"])
    started = []
    server.subscribe("session", started.append)
    command = "command=bash&command=-c&command=echo%20%22$A%22%20$PWD%3B%20id%20-un"
    query = f"?{command}&tty=false&user=user&workdir=/tmp&env=A=a%20b"
    tab = open_tab(page_of(server, query))
    tab.wait_for_status("^Not connected. +A link filled in what is to run")
    assert tab("input_value", "input[name=command]") == "bash -c 'echo \"$A\" $PWD; id -un'"
    for field, value in (("user", "user"), ("workdir", "/tmp"), ("env", "A=a b")):
        assert tab("is_visible", f"[name={field}]")
        assert tab("input_value", f"[name={field}]") == value
    assert not tab("is_checked", "[name=tty]")
    assert not [request for request in tab("seen")["requests"] if request.startswith("ws")]
    assert started == []
    tab("click", "#connect")
    tab.wait_for(r"a b /tmp\s*\nuser")
    (session,) = started
    assert (session.argv[:2], session.user, session.tty) == (("bash", "-c"), "user", False)


@pytest.mark.parametrize("device", [DESKTOP, PHONE])
def test_all_of_what_a_link_filled_in_is_to_be_seen(open_tab, server, device):
    words = ["A=b", "sh", "-c", "ls " + " " * 500 + "; echo \u202e evil " + "x" * 3000]
    tab = open_tab(page_of(server, "?env={}&command={}&command={}&command={}".format(*map(quote, words))), **device)
    tab.wait_for_status("look at it before you connect. A=b sh -c 'ls ; echo .u{202e} evil x{3000}'$")
    tab("evaluate", "document.getElementById('status').scrollTo(0, 1e9)")
    end = """() => {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById('status'));
      const [first] = [...range.getClientRects()].slice(-1);
      const seen = document.elementFromPoint(first.right - 2, first.top + first.height / 2);
      return seen?.id + ' ' + document.getElementById('connect').checkVisibility();
    }"""
    assert tab("evaluate", end) == "status true"
    assert tab("evaluate", "document.getElementById('terminal').clientHeight > 100")


def test_a_link_is_not_started_by_what_was_meant_for_something_else(open_tab, server):
    started = []
    server.subscribe("session", started.append)
    tab = open_tab(page_of(server, "?command=echo&command=linked"))
    tab.wait_for_status("A link filled in")
    for _ in range(3):
        tab("keyboard.down", "Enter")
    tab("keyboard.up", "Enter")
    # As at the second click of a double click whose first one closed the window that lay over this one.
    tab("wait_for_selector", "#connect:enabled")
    tab("evaluate", "dispatchEvent(new Event('focus')), document.getElementById('connect').click()")
    assert tab.status().startswith("Not connected.")
    tab("focus", "input[name=command]")
    for _ in range(3):  # held down: the first one was for the page before
        tab("cdp", "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", autoRepeat=True)
    tab("wait_for_selector", "#connect:enabled")
    for _ in range(3):
        tab("cdp", "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", autoRepeat=True)
    assert tab.status().startswith("Not connected.")
    tab.press("Enter")
    tab.wait_for("linked")
    assert len(started) == 1


def test_a_large_paste_arrives_whole(tab):
    text = "".join(f"{number} äöü 漢字 🙂\n" for number in range(20_000))
    tab.connect(f"bash -c 'stty raw -echo; echo ready; head -c {len(text.encode())} | md5sum'")
    tab.wait_for("ready")
    tab(
        "evaluate",
        """(text) => {
          const data = new DataTransfer();
          data.setData('text/plain', text);
          document.querySelector('.xterm-helper-textarea').dispatchEvent(
            new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
        }""",
        text,
    )
    # A terminal gives a return where the text has a newline.
    tab.wait_for(hashlib.md5(text.replace("\n", "\r").encode(), usedforsecurity=False).hexdigest(), timeout=20)


@pytest.mark.parametrize("way", ["the keyboard", "the button"])
def test_what_is_pasted_does_not_end_its_own_brackets(tab, way):
    tab("context.grant_permissions", ["clipboard-read", "clipboard-write"])
    tab.connect("bash -c 'stty raw -echo; printf \"\\033[?2004hready\"; head -c 21 | od -An -c -w21; read'")
    tab.wait_for("ready")
    tab("evaluate", "navigator.clipboard.writeText('a\\x1b[201~b\\n')")
    if way == "the button":
        tab("click", "#paste")
    else:
        tab.press("Control+Shift+V")
    # What stands for the escape has three bytes.
    tab.wait_for(r"033 +\[ +2 +0 +0 +~ +a +342 +220 +233 +\[ +2 +0 +1 +~ +b +\\r +033 +\[ +2")


def test_copy_paste_and_what_the_browser_does_with_ctrl_c(tab):
    tab("context.grant_permissions", ["clipboard-read", "clipboard-write"])
    tab.connect('bash -c \'echo marked; trap "echo interrupted" INT; while :; do read -r line; echo "<$line>"; done\'')
    tab.wait_for("marked")
    tab("dblclick", ".xterm-rows span:has-text('marked')", force=True)
    tab.press("Control+Shift+C")
    wait_until(lambda: tab("evaluate", "navigator.clipboard.readText()") == "marked")
    tab("click", "#paste")
    tab.wait_for(r"(?s)marked\s+marked")  # a key would be faster than the clipboard
    tab.press("Enter")
    tab.wait_for("<marked>")
    tab.press("Control+Shift+V")
    tab.wait_for(r"(?s)<marked>\s+marked")
    tab.press("Enter")
    tab.wait_for(r"(?s)<marked>.*<marked>")
    tab.press("Control+c")
    tab.wait_for("interrupted")
    tab("click", "#copy")
    wait_until(lambda: "interrupted" in tab("evaluate", "navigator.clipboard.readText()"))
    # Without TLS a page has no clipboard, but for the older way.
    tab("evaluate", "Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tab("dblclick", ".xterm-rows span:has-text('interrupted')", force=True)
    tab.press("Control+Shift+C", "Control+Shift+V")
    tab.wait_for(r"(?s)\^Cinterrupted\s+\^Cinterrupted")
    tab.press("Enter")
    tab.wait_for(r"<\^Cinterrupted>")


def test_the_scrollback_can_be_searched(tab):
    tab.connect("bash -c 'for i in $(seq 300); do echo line $i; done; read'")
    tab.wait_for("line 300")
    tab.press("Control+Shift+F")
    tab.type("line 29")
    tab.wait_for(r"^\d+ of 11$", "#find-count")
    first = tab("inner_text", "#find-count")
    tab.press("Enter")
    wait_until(lambda: tab("inner_text", "#find-count") != first)
    tab.press("Shift+Enter")
    wait_until(lambda: tab("inner_text", "#find-count") == first)
    tab("fill", "#find-text", "line 17\b")
    tab("fill", "#find-text", "line 177")
    tab.wait_for("line 177")
    tab.press("Escape")
    assert not tab("is_visible", "#find-form")
    tab.press("Enter")
    tab.wait_for_status("^Ended")


def test_the_title_and_the_bell_are_the_programs_within_bounds(tab):
    tab.connect('bash -c \'printf "\\033]2;a \\u202e%0100d\\007" 7; read; printf "\\a"; read\'')
    wait_until(lambda: tab("title").endswith(" - dockerexec"))
    assert re.fullmatch(r"a 0{78} - dockerexec", tab("title"))
    tab.press("Enter")
    tab("wait_for_selector", "body.bell")
    tab.press("Enter")
    tab.wait_for_status("^Ended")


def test_colours_that_a_program_changed_are_the_pages_again(tab):
    colour = "getComputedStyle(document.querySelector('.xterm-rows')).color"
    before = tab("evaluate", colour)
    tab.connect("""bash -c 'printf "\\033]10;#123456\\007\\033]11;#123456\\007"; read'""")
    wait_until(lambda: tab("evaluate", colour) != before)
    tab.press("Enter")
    tab.wait_for("Ended with exit code 0")
    wait_until(lambda: tab("evaluate", colour) == before)


def test_mouse_reports_are_bytes(tab):
    tab.connect("bash -c 'stty raw -echo; printf \"\\033[?1000h\"; echo ready; head -c 6 | od -An -tx1'")
    tab.wait_for("ready")
    tab("mouse.click", 1150, 400)  # its column is beyond what ASCII could tell
    (column,) = tab.wait_for(r"1b 5b 4d 20 ([0-9a-f]{2}) [0-9a-f]{2}")
    assert int(column, 16) > 127


def test_on_a_phone_there_are_the_keys_that_it_lacks(open_tab, server):
    tab = open_tab(page_of(server), **PHONE)
    assert not tab("is_visible", "#keys")
    tab.connect("bash -c 'stty raw -echo; echo ready; head -c 6 | od -An -tx1; trap \"\" TERM'")
    tab.wait_for("ready")
    for key in ("Escape", "ArrowUp", "Control"):
        tab("tap", f"[data-key={key}]")
    tab.type("c")
    tab("tap", "[data-key=Tab]")
    tab.wait_for("1b 1b 5b 41 03 09")


def test_on_a_phone_the_output_scrolls_by_touch(open_tab, server):
    tab = open_tab(page_of(server), **PHONE)
    tab.connect("bash -c 'for i in $(seq 300); do echo line $i; done; read'")
    tab.wait_for("line 300")
    for kind, points in (("touchStart", [300]), ("touchMove", [500]), ("touchMove", [700]), ("touchEnd", [])):
        tab("cdp", "Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": 150, "y": y} for y in points])
    wait_until(lambda: "line 300" not in tab.rows())


def test_leaving_the_page_ends_the_process(tab, server, container, docker_api):
    tab.connect("sleep 1000")
    wait_until(lambda: processes(docker_api, container))
    tab("goto", "about:blank")
    wait_until(lambda: not server.sessions)
    wait_until(lambda: processes(docker_api, container) == [])
    tab("goto", page_of(server))
