"""Copy and paste on the page."""

import hashlib

import pytest

from tests.conftest import wait_until

PASTE = """(text) => {
  const data = new DataTransfer();
  data.setData('text/plain', text);
  document.querySelector('.xterm-helper-textarea').dispatchEvent(
    new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
}"""


def test_a_large_paste_arrives_whole(tab):
    text = "".join(f"{number} äöü 漢字 🙂\n" for number in range(20_000))
    tab.connect(f"bash -c 'stty raw -echo; echo ready; head -c {len(text.encode())} | md5sum'")
    tab.wait_for("ready")
    tab("evaluate", PASTE, text)
    # A terminal sends a carriage return for each newline of the text.
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
    # The character that replaces the escape has three bytes.
    tab.wait_for(r"033 +\[ +2 +0 +0 +~ +a +342 +220 +233 +\[ +2 +0 +1 +~ +b +\\r +033 +\[ +2")


def test_no_pasted_control_character_has_a_shell_run_the_rest(tab):
    controls = [chr(code) for code in [*range(32), *range(0x7F, 0xA0)] if chr(code) not in "\t\n\r"]
    tab.connect("bash --norc")
    tab.wait_for(r"bash-\S+[#$]")
    for control in [*controls, "\x16\x03", "\x1b[201~"]:
        tab("evaluate", PASTE, f": {control}\nran=yes\n")
    tab.press("Control+c")
    tab.type("echo ran:${ran-nothing}:\n")
    tab.wait_for("ran:nothing:")


def test_pasted_control_characters_are_replaced_without_brackets_too(tab):
    tab.connect("bash -c 'stty raw -echo; echo ready; head -c 11 | od -An -tx1'")
    tab.wait_for("ready")
    tab("evaluate", PASTE, "a\x03\x1b\t\x7fb")
    tab.wait_for("61 e2 90 83 e2 90 9b 09 ef bf bd")


def test_copy_paste_and_what_the_browser_does_with_ctrl_c(tab):
    tab("context.grant_permissions", ["clipboard-read", "clipboard-write"])
    tab.connect('bash -c \'echo marked; trap "echo interrupted" INT; while :; do read -r line; echo "<$line>"; done\'')
    tab.wait_for("marked")
    tab("dblclick", ".xterm-rows span:has-text('marked')", force=True)
    tab.press("Control+Shift+C")
    wait_until(lambda: tab("evaluate", "navigator.clipboard.readText()") == "marked")
    tab("click", "#paste")
    tab.wait_for(r"(?s)marked\s+marked")  # wait, because a key would overtake the clipboard
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
    # Without TLS a page has no clipboard API, only the older way.
    tab("evaluate", "Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tab("dblclick", ".xterm-rows span:has-text('interrupted')", force=True)
    tab.press("Control+Shift+C", "Control+Shift+V")
    tab.wait_for(r"(?s)\^Cinterrupted\s+\^Cinterrupted")
    tab.press("Enter")
    tab.wait_for(r"<\^Cinterrupted>")
