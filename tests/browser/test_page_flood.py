"""A program writes without end: the page takes every key, bounds its memory, and Ctrl-C ends the program."""

import pytest

from tests.browser.conftest import page_of
from tests.conftest import wait_until

pytestmark = pytest.mark.alone

# Measures how long each key waits before the page takes it, in ms.
CLOCK = """
() => {
  window.delays = [];
  addEventListener('keydown', (event) => delays.push(performance.now() - event.timeStamp), true);
}
"""
# Colours, columns and characters of all kinds, as fast as they can be written.
LINE = r"\033[32m0123456789\033[0m grüße 漢字 🙂 abcdefghijklmnopqrstuvwxyz"
SCRIPT = rf'yes "$(printf "{LINE}")" & while read -rsn1 key; do printf "\033]2;%s%d\007" $key $((++n)); done'
KEYS = 5


def test_a_flood_of_output(open_tab, server):
    tab = open_tab(page_of(server))
    tab.connect(f"bash -c '{SCRIPT}'")
    tab("evaluate", CLOCK)
    (session,) = server.sessions
    heaps, backlogs = [], []
    for count in range(1, KEYS + 1):
        before = session.bytes_out
        wait_until(lambda before=before: session.bytes_out > before + 1_000_000)
        pressed = session.bytes_out
        tab.press("k")
        wait_until(lambda count=count: tab("title").startswith(f"k{count} "), timeout=20)
        backlogs.append(session.bytes_out - pressed)
        heaps.append(tab("cdp", "Runtime.getHeapUsage")["usedSize"])
    # The parts of the page that have nothing to do with the output also respond.
    tab.press("Control+Shift+F")
    tab("wait_for_selector", "#find-form")
    tab.press("Escape")
    pressed = session.bytes_out
    tab.press("Control+c")
    tab.wait_for_status(r"^Ended with exit code 130\.$")
    delays = sorted(tab("evaluate", "delays"))
    print("ms before a key is taken:", [round(delay) for delay in delays])  # noqa: T201
    print("MB before it is answered:", [round(backlog / 1e6, 1) for backlog in backlogs])  # noqa: T201
    print("MB of the page's heap:", [round(heap / 1e6) for heap in heaps])  # noqa: T201
    print("MB after Ctrl-C:", round((session.bytes_out - pressed) / 1e6, 1))  # noqa: T201
    # The limits are generous, because the machine may be busy. The printed figures are what matters.
    assert delays[len(delays) // 2] < 500
    assert max(backlogs) < 30_000_000
    assert max(heaps) < 150_000_000
    assert session.bytes_out - pressed < 30_000_000
