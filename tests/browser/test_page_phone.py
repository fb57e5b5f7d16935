"""The page on a phone."""

from tests.browser.conftest import PHONE, page_of
from tests.conftest import wait_until


def test_on_a_phone_there_are_the_keys_that_it_lacks(open_tab, server):
    tab = open_tab(page_of(server), **PHONE)
    assert not tab("is_visible", "#keys")
    tab.connect("bash -c 'stty raw -echo; echo ready; head -c 7 | od -An -tx1; trap \"\" TERM'")
    tab.wait_for("ready")
    for key in ("Ctrl-W", "Escape", "ArrowUp", "Control"):
        tab("tap", f"[data-key={key}]")
    tab.type("c")
    tab("tap", "[data-key=Tab]")
    tab.wait_for("17 1b 1b 5b 41 03 09")


def test_on_a_phone_the_output_scrolls_by_touch(open_tab, server):
    tab = open_tab(page_of(server), **PHONE)
    tab.connect("bash -c 'for i in $(seq 300); do echo line $i; done; read'")
    tab.wait_for("line 300")
    for kind, points in (("touchStart", [300]), ("touchMove", [500]), ("touchMove", [700]), ("touchEnd", [])):
        tab("cdp", "Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": 150, "y": y} for y in points])
    wait_until(lambda: "line 300" not in tab.rows())
