"""Keeps Chromium open and runs the tests' commands, in plain Python, because Playwright and gevent do not mix.

A command is a line of JSON: ``tab`` (a name), ``method`` (of Playwright's page, such as ``keyboard.type``, or one of
those below) and its arguments, ``args`` and ``kwargs``. The answer is a line, too, with ``result`` or ``error``.
"""

import json
import re
import sys
import time

from playwright.sync_api import Error, sync_playwright

from tests.browser.chromium import CHROMIUM, OPTIONS

TIMEOUT = 10.0
"""Seconds that anything may take that is waited for."""

# Record the page's violations from its first moment on.
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
"""


class Tabs:
    def __init__(self, browser):
        self._browser = browser
        self._pages = {}
        self._seen = {}
        self._unanswered = {}  # for the message of a failing test
        self._cdp = {}

    def open(self, tab, url, **options):
        """Open *url* in a separate browser profile; *options* are those of Playwright's new_context."""
        context = self._browser.new_context(**options)
        context.set_default_timeout(TIMEOUT * 1000)
        page = context.new_page()
        seen = self._seen[tab] = {"errors": [], "requests": []}
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: seen["errors"].append(str(error)))
        # The browser also logs refused requests as errors. Some tests cause them on purpose, so they are left out.
        page.on(
            "console",
            lambda message: (
                seen["errors"].append(message.text)
                if message.type == "error" and not re.search("Failed to load resource|WebSocket", message.text)
                else None
            ),
        )
        unanswered = self._unanswered[tab] = []
        page.on("request", lambda request: (seen["requests"].append(request.url), unanswered.append(request.url)))
        page.on("requestfinished", lambda request: unanswered.remove(request.url))
        page.on("requestfailed", lambda request: unanswered.append(request.failure))
        page.on("websocket", lambda socket: seen["requests"].append(socket.url))
        self._pages[tab] = page
        page.goto(url)

    def close(self, tab):
        page = self._pages.pop(tab)
        self._cdp.pop(page, None)
        page.context.close()

    def seen(self, tab):
        """Return the errors, CSP violations and requests of a tab, and the sizes of its stores."""
        page = self._pages[tab]
        stores = "localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length"
        storage = page.evaluate(f"async () => [{stores}]")
        return self._seen[tab] | {"violations": page.evaluate("violations"), "storage": storage}

    def wait_for_text(self, tab, selector, pattern, timeout=TIMEOUT):
        """Wait until the element's text matches; return the pattern's groups, or the whole match."""
        deadline = time.monotonic() + timeout
        while True:
            text = self._pages[tab].inner_text(selector).replace("\xa0", " ")
            if match := re.search(pattern, text):
                return match.groups() or match[0]
            if time.monotonic() > deadline:
                why = f"errors: {self._seen[tab]['errors']}, without an answer: {self._unanswered[tab]}"
                raise AssertionError(f"not within {timeout} s in {selector}: {pattern}; but: {text.strip()!r}; {why}")
            self._pages[tab].wait_for_timeout(20)

    def cdp(self, tab, method, **parameters):
        """Send a command of Chromium's own protocol, for features that Playwright does not have."""
        page = self._pages[tab]
        if page not in self._cdp:  # touches that belong together must be sent in one session
            self._cdp[page] = page.context.new_cdp_session(page)
        return self._cdp[page].send(method, parameters)

    def do(self, tab, method, args, kwargs):
        if hasattr(self, method):
            return getattr(self, method)(tab, *args, **kwargs)
        target = self._pages[tab]
        for name in method.split("."):
            target = getattr(target, name)
        result = target(*args, **kwargs)
        return result if isinstance(result, (str, int, float, bool, list, dict, type(None))) else None


def main():
    options = [*OPTIONS, *sys.argv[1:]]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        tabs = Tabs(browser)
        for line in sys.stdin:
            try:
                answer = {"result": tabs.do(**json.loads(line))}
            except (AssertionError, Error) as error:
                answer = {"error": str(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        browser.close()


if __name__ == "__main__":
    main()
