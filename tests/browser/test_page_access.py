"""The page in each of its states: used without a mouse, and checked by axe-core."""

import pytest

from dockerexec_ws.access.token_file import new_token
from tests.browser.conftest import DESKTOP, PHONE, SIZED, page_of
from tests.conftest import wait_until

AXE = """
async () => (await axe.run({resultTypes: ['violations']})).violations
  .map(({id, nodes}) => [id, nodes.map(({html, failureSummary}) => html.slice(0, 200) + ' ' + failureSummary)])
"""


@pytest.fixture
def check(page_tools):
    """A function that runs axe-core on a tab."""
    axe = (page_tools / "axe-core/axe.min.js").read_text()

    def run(tab):
        if not tab("evaluate", "'axe' in window"):
            tab("evaluate", f"() => {{ {axe} }}")
        assert tab("evaluate", AXE) == []

    return run


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_each_state_can_be_perceived(open_tab, serve, check, tmp_path, device, scheme):
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    server = serve(token_file=tmp_path / "tokens", allow_user=["*"])
    tab = open_tab(page_of(server, "?user=user"), **device, color_scheme=scheme)
    tab.wait_for_status("This server asks for a token")
    check(tab)
    tab("fill", "#token", token)
    tab("click", "#token-form button")
    tab.wait_for_status("You are somebody")
    check(tab)
    tab("fill", "input[name=command]", "ls | head")
    tab("wait_for_selector", "#by-shell")
    check(tab)
    tab.connect("bash -c 'printf \"\\033[31mred\\033[0m\\n\"; read; exit 1'")
    tab.wait_for("red")
    check(tab)
    tab("click", "#find-open")
    tab.type("red")
    tab.wait_for("1 of 1", "#find-count")
    check(tab)
    tab.press("Escape")
    tab("click", "#reader")
    tab("wait_for_selector", ".xterm-accessibility-tree")
    check(tab)
    tab("focus", ".xterm-helper-textarea")
    tab.press("Enter")
    tab.wait_for_status("exit code 1")
    check(tab)
    tab("click", "#more summary")
    tab("fill", "[name=user]", "nosuch")
    check(tab)
    tab("click", "#more summary")
    tab.connect("id")
    tab.wait_for_state("failed")
    check(tab)


def focused(tab):
    return tab(
        "evaluate", "document.activeElement.id || document.activeElement.name || document.activeElement.className"
    )


def test_all_can_be_done_by_the_keyboard(open_tab, server):
    tab = open_tab(page_of(server))
    wait_until(lambda: focused(tab) == "command")
    tab.type("bash -c 'read -r line; echo \"<$line>\"; read'")
    tab.press("Tab")
    assert focused(tab) == "tty"
    tab.press("Tab", "Enter")
    assert tab("is_visible", "[name=user]")
    tab.press("Enter", "Tab")
    assert focused(tab) == "connect"
    tab.press("Enter")
    tab.wait_for_state("running")
    assert "xterm-helper-textarea" in focused(tab)
    tab.type("a\tb")  # the Tab key goes to the program while it runs
    tab.press("Enter")
    tab.wait_for(r"<a\s+b>")
    tab.press("Control+Shift+X")
    assert focused(tab) == "disconnect"
    tab.press("Enter")
    tab.wait_for_status(r"^Disconnected\.$")
    tab("focus", ".xterm-helper-textarea")
    tab.press("Tab")
    assert focused(tab) == "find-open"
    tab.press("Enter")
    assert focused(tab) == "find-text"
    tab.press("Escape")
    assert "xterm-helper-textarea" in focused(tab)


def test_a_screen_reader_is_told_the_state(open_tab, server):
    tab = open_tab(page_of(server))
    assert tab("get_attribute", "#status", "role") == "status"
    tab("click", "#reader")
    tab.connect("bash -c 'echo words to read; read'")
    tab.wait_for("words to read", ".xterm-accessibility-tree")
    assert tab("get_attribute", "#reader", "aria-pressed") == "true"


def test_the_text_can_be_made_larger(open_tab, server):
    tab = open_tab(page_of(server))
    tab.connect(f"bash -c '{SIZED} while read; do stty size; done'")
    tab.press("Enter")
    first = tab.wait_for(r"(\d+) (\d+)")
    for _ in range(4):
        tab("click", "#larger")
    tab("focus", ".xterm-helper-textarea")

    def smaller():
        tab.press("Enter")
        return int(tab.wait_for(r"(?s).*\n(\d+) \d+")[0]) < int(first[0])

    wait_until(smaller)
