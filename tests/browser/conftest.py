"""Fixtures: a browser that stays open for the tests of this folder, and tabs with the page."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys

import gevent
import pytest

from tests.browser.chromium import CHROMIUM
from tests.conftest import ROOT, TIMEOUT
from tests.npm import MissingError, install_packages

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
ROWS = ".xterm-rows"
# Older engines (API before 1.42) set the size only after the program has started.
SIZED = 'while [ "$(stty size)" = "0 0" ]; do :; done; '
PAGE = ROOT / "dockerexec_ws/page"


class Browser:
    """The process that controls Chromium; tests/browser/driver.py describes its methods."""

    def __init__(self, *options):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.driver", *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # It runs no code of the package, so there is no coverage to measure.
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        )

    def do(self, tab, method, *args, **kwargs):
        """Run a method in the browser; raises AssertionError with the browser's own message."""
        order = {"tab": tab, "method": method, "args": args, "kwargs": kwargs}
        with gevent.Timeout(TIMEOUT * 0.8):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        assert line, f"the browser's driver ended with {self._process.wait()}"
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def close(self):
        self._process.stdin.close()
        try:
            with gevent.Timeout(10):
                self._process.wait()
        finally:
            self._process.kill()
            self._process.stdout.close()


class Tab:
    """A tab with the page. A call runs any method of Playwright's page: ``tab("keyboard.press", "Enter")``."""

    def __init__(self, browser, name):
        self._browser = browser
        self._name = name

    def __call__(self, method, *args, **kwargs):
        return self._browser.do(self._name, method, *args, **kwargs)

    def type(self, text):
        self("keyboard.type", text)

    def press(self, *keys):
        for key in keys:
            self("keyboard.press", key)

    def connect(self, command=None, *, tty=True):
        """Fill in the form and send it; return once the session runs, or has ended."""
        if command is not None:
            self("fill", "input[name=command]", command)
        self("set_checked", "[name=tty]", tty)
        self("click", "#connect")
        self.wait_for_state("running", "ended", "failed")

    def wait_for_state(self, *states):
        self("wait_for_selector", ", ".join(f"body[data-state={state}]" for state in states))

    def wait_for(self, pattern, selector=ROWS, **kwargs):
        """Wait until *pattern* matches in the terminal, or another element; return the match or its groups."""
        return self("wait_for_text", selector, pattern, **kwargs)

    def wait_for_status(self, pattern):
        return self.wait_for(pattern, "#status")

    def rows(self):
        return self("inner_text", ROWS).replace("\xa0", " ")

    def status(self):
        return self("inner_text", "#status")


@pytest.fixture(scope="session")
def chromium():
    if not shutil.which(CHROMIUM):
        pytest.skip(f"there is no {CHROMIUM}: install Debian's chromium-headless-shell")


@pytest.fixture(scope="session")
def browser(chromium):
    """Chromium without WebGL, so that the terminal's text is in the document, where tests can read it.

    Names that end in ".example" resolve to this machine.
    """
    browser = Browser("--disable-3d-apis", "--host-resolver-rules=MAP *.example 127.0.0.1")
    yield browser
    browser.close()


@pytest.fixture
def open_tab(browser):
    """A function that opens an address in a tab. After the test, no tab may have broken the page's promises."""
    names = map("tab{}".format, itertools.count())
    opened = []

    def open_one(url, **options):
        tab = Tab(browser, next(names))
        opened.append((tab, url))
        tab("open", url, **(DESKTOP | options))
        return tab

    yield open_one
    with contextlib.ExitStack() as stack:
        for tab, _ in opened:
            stack.callback(tab, "close")
        for tab, url in opened:
            seen = tab("seen")
            assert (seen["errors"], seen["violations"], seen["storage"]) == ([], [], [0, 0, "", 0])
            origin = url.split("/")[2]
            assert {request.split("/")[2] for request in seen["requests"]} == {origin}


@pytest.fixture
def tab(open_tab, server):
    """A tab with the page of a server without restrictions."""
    return open_tab(page_of(server))


@pytest.fixture(scope="session")
def page_tools():
    """The folder with the npm packages that check the page."""
    try:
        return install_packages(PAGE)
    except MissingError as error:
        pytest.skip(str(error))


def page_of(server, below=""):
    """The address of a server's page."""
    return server.url.replace("ws://", "http://") + below
