"""The page's terminal: its size, characters, colours, search, title and mouse."""

import re

from tests.browser.conftest import SIZED, page_of
from tests.conftest import wait_until


def row_count(tab):
    return tab("evaluate", "document.querySelectorAll('.xterm-rows > div').length")


def test_the_program_has_the_terminals_size_from_the_start_and_as_it_changes(tab):
    tab.connect(f"bash -c '{SIZED} stty size; while read; do stty size; done'")
    first = tab.wait_for(r"(?m)^(\d+) (\d+)")
    assert int(first[0]) == row_count(tab)
    tab("set_viewport_size", {"width": 700, "height": 420})
    wait_until(lambda: row_count(tab) < int(first[0]))

    def last_size():
        tab.press("Enter")
        return [int(number) for number in re.findall(r"(?m)^(\d+) (\d+)\s*$", tab.rows())[-1]]

    wait_until(lambda: last_size()[0] == row_count(tab))  # the engine may set the size late
    assert last_size()[1] < int(first[1])


def test_wide_and_combining_characters_take_the_columns_that_programs_think(tab):
    # The terminal's answer to the program: the column of the next character.
    script = r'printf "漢字|e\u0301|🙂|\033[6n"; IFS=";" read -rsd R _ column; echo " next $column"'
    tab.connect(f"bash -c '{script}'")
    tab.wait_for(r"漢字\|e\u0301\|🙂\| next 11")


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


def test_tab_stops_that_a_program_removed_are_back(tab):
    tab.connect("printf '\\033[3g'")
    tab.wait_for("Ended with exit code 0")
    tab.connect("printf 'a\\tb\\n'")
    tab.wait_for("(?m)^a {7}b")


def test_on_a_mac_option_writes_characters_and_selects_beside_a_program_that_takes_the_mouse(open_tab, server):
    tab = open_tab(page_of(server))
    tab("add_init_script", "Object.defineProperty(navigator, 'platform', {get: () => 'MacIntel'})")
    tab("reload")
    tab.connect("bash -c 'stty raw -echo; printf \"\\033[?1002h\\033[?1006h ready\"; head -c 1 | od -An -tx1; read'")
    tab.wait_for("ready")
    box = tab("evaluate", "(({x, y}) => [x, y])(document.querySelector('.xterm-screen').getBoundingClientRect())")
    tab("keyboard.down", "Alt")
    tab("mouse.move", box[0] + 2, box[1] + 8)
    tab("mouse.down")
    tab("mouse.move", box[0] + 120, box[1] + 8)
    tab("mouse.up")
    tab("keyboard.up", "Alt")
    tab(
        "cdp",
        "Input.dispatchKeyEvent",
        type="keyDown",
        key="@",
        code="KeyL",
        windowsVirtualKeyCode=76,
        modifiers=1,
        text="@",
    )
    tab.wait_for("ready +40")  # and no report of the mouse before it


def test_mouse_reports_are_bytes(tab):
    tab.connect("bash -c 'stty raw -echo; printf \"\\033[?1000h\"; echo ready; head -c 6 | od -An -tx1'")
    tab.wait_for("ready")
    tab("mouse.click", 1150, 400)  # its column is too large for ASCII
    (column,) = tab.wait_for(r"1b 5b 4d 20 ([0-9a-f]{2}) [0-9a-f]{2}")
    assert int(column, 16) > 127


PRESS = """
(events) => events.forEach((event) => document.querySelector('.xterm-helper-textarea').dispatchEvent(
  new KeyboardEvent('keydown', {bubbles: true, cancelable: true, keyCode: 229, key: 'Process', ...event})))
"""


def test_what_an_input_method_claims_without_composing_arrives(tab):
    keys = [
        ({"code": "KeyC", "ctrlKey": True}, "03"),
        ({"code": "KeyV", "key": "ㅍ", "ctrlKey": True}, "16"),
        ({"code": "KeyS", "key": "d", "ctrlKey": True}, "04"),  # a layout with D on the S key
        ({"code": "Escape"}, "1b"),
        ({"code": "BracketLeft", "ctrlKey": True}, "1b"),
        ({"code": "Space", "ctrlKey": True}, "00"),
        ({"code": "Escape", "isComposing": True}, ""),  # the input method uses it
        ({"code": "KeyA"}, ""),
        ({"code": "KeyZ", "ctrlKey": True}, "1a"),
    ]
    tab.connect("bash -c 'stty raw -echo; echo ready; head -c 7 | od -An -tx1'")
    tab.wait_for("ready")
    tab("evaluate", PRESS, [event for event, _ in keys])
    tab.wait_for(" ".join(filter(None, (code for _, code in keys))))


def test_in_full_screen_the_keys_that_close_a_tab_are_the_terminals(tab):
    note = """() => {
      const { keyboard } = navigator;
      const lock = keyboard.lock.bind(keyboard);
      keyboard.lock = async (keys) => { await lock(keys); window.locked = keys; };
    }"""
    tab("evaluate", note)
    tab.connect("bash -c 'stty raw -echo; echo ready; head -c 1 | od -An -tx1; read'")
    tab.wait_for("ready")
    tab("click", "#full-screen")
    tab("wait_for_function", "() => window.locked && document.fullscreenElement !== null")
    assert {"KeyW", "KeyT", "KeyN"} < set(tab("evaluate", "window.locked"))
    tab("wait_for_selector", "#full-screen[aria-pressed=true]")
    assert "xterm-helper-textarea" in tab("evaluate", "document.activeElement.className")
    tab.press("Control+w")
    tab.wait_for("17")
    tab("click", "#full-screen")
    tab("wait_for_selector", "#full-screen[aria-pressed=false]")


def test_full_screen_without_the_keys_says_so(tab):
    tab("evaluate", "() => Object.defineProperty(navigator, 'keyboard', {value: undefined})")
    tab("click", "#full-screen")
    tab.wait_for_status(r"^Ctrl\+W, Ctrl\+T and Ctrl\+N stay the browser's")


def test_the_program_is_told_what_the_terminal_can_draw(tab):
    tab.connect("bash -c 'echo \"<$TERM $COLORTERM>\"'")
    tab.wait_for("<xterm-256color truecolor>")
    tab.connect("bash -c 'echo \"<$COLORTERM>\"'", tty=False)
    tab.wait_for("<>")
