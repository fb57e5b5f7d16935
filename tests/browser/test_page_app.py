"""The page's states alone, in Node.js, and its theme in a browser."""

import re

import pytest

from tests.browser.conftest import PAGE, page_of
from tests.browser.node import node

MOVES = """
import {PageState} from './states.js';
const shown = [];
const state = new PageState((look, text) => shown.push([look.mark, text ?? null]));
const print = (value) => console.log(JSON.stringify(value));
"""


def test_a_session_goes_from_connecting_to_its_end():
    script = """
      state.move('connecting', 'a'); state.move('running', 'b'); state.move('running', 'c');
      const takes = [state.look.takesInput];
      state.move('finishing');
      takes.push(state.look.takesInput);
      const has = [state.look.hasSession];
      state.move('ended', 'd');
      has.push(state.look.hasSession);
      print([shown, takes, has]);
    """
    shown, takes, has = node(MOVES + script)
    assert shown == [["connecting", "a"], ["running", "b"], ["running", "c"], ["running", None], ["ended", "d"]]
    assert (takes, has) == ([True, False], [True, False])


@pytest.mark.parametrize(
    ("moves", "wrong"),
    [
        ([], "running"),
        ([], "finishing"),
        (["asking"], "running"),
        (["connecting"], "connecting"),
        (["connecting"], "idle"),
        (["connecting", "running"], "asking"),
        (["connecting", "finishing"], "running"),
        (["connecting", "finishing"], "connecting"),
    ],
)
def test_what_cannot_follow_a_state_is_a_fault(moves, wrong):
    script = f"""
      for (const next of {moves}) state.move(next, '');
      try {{ state.move('{wrong}', ''); print(null); }} catch (error) {{ print(error.message); }}
    """
    assert re.fullmatch(rf"The page cannot go from \w+ to {wrong}\.", node(MOVES + script))


def test_only_without_a_session_the_page_asks_for_a_token():
    script = """
      const looks = {};
      for (const moves of [['idle'], ['asking'], ['rejected'], ['connecting'], ['connecting', 'finishing', 'failed']]) {
        const state = new PageState(() => {});
        for (const next of moves) state.move(next, '');
        looks[moves.at(-1)] = state.look.asksToken;
      }
      print(looks);
    """
    asks = node(MOVES + script)
    assert asks == {"idle": False, "asking": True, "rejected": True, "connecting": False, "failed": False}


def test_the_theme_follows_the_preference_at_once(open_tab, server):
    tab = open_tab(page_of(server), color_scheme="light")
    tab.wait_for_status("^Not connected")
    tab.connect("bash -c 'printf \"\\033[31mred\\n\"; read'")
    tab.wait_for("red")
    colours = """() => [getComputedStyle(document.body).backgroundColor,
      getComputedStyle([...document.querySelectorAll('.xterm-rows span')]
        .find((span) => span.textContent.startsWith('red'))).color]"""
    for scheme in ("light", "dark"):
        theme = (PAGE / f"theme_{scheme}.css").read_text()
        expected = [rgb(theme, name) for name in ("--chrome", "--ansi-red")]
        tab("emulate_media", color_scheme=scheme)
        tab("wait_for_function", f"wanted => JSON.stringify(({colours})()) === JSON.stringify(wanted)", arg=expected)


def rgb(theme, name):
    """Return a theme's colour as the browser computes it."""
    (digits,) = re.findall(rf"{name}: #(\w+);", theme)
    return "rgb({}, {}, {})".format(*bytes.fromhex(digits))
