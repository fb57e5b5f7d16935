"""The page shows what a link filled in, and starts nothing."""

from urllib.parse import quote

import pytest

from tests.browser.conftest import DESKTOP, PHONE, page_of


def test_a_link_runs_nothing_before_the_click(open_tab, serve, tmp_path):
    server = serve(allow_user=["*"], allow_workdir=["*"], allow_env=["*"])
    started = []
    server.subscribe("session", started.append)
    command = "command=bash&command=-c&command=echo%20%22$A%22%20$PWD%3B%20id%20-un"
    query = f"?{command}&tty=false&user=user&workdir=/tmp&env=A=a%20b"
    tab = open_tab(page_of(server, query))
    tab.wait_for_status("^Not connected. +A link filled in the form")
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
    tab.wait_for_status("Check it before you connect: A=b sh -c 'ls ; echo .u{202e} evil x{3000}'$")
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
    # The second click of a double click, whose first one closed a window on top of this one.
    tab("wait_for_selector", "#connect:enabled")
    tab("evaluate", "dispatchEvent(new Event('focus')), document.getElementById('connect').click()")
    assert tab.status().startswith("Not connected.")
    tab("focus", "input[name=command]")
    for _ in range(3):  # the key is held down: the first press was for the previous page
        tab("cdp", "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", autoRepeat=True)
    tab("wait_for_selector", "#connect:enabled")
    for _ in range(3):
        tab("cdp", "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", autoRepeat=True)
    assert tab.status().startswith("Not connected.")
    tab.press("Enter")
    tab.wait_for("linked")
    assert len(started) == 1
