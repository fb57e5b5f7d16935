"""Opens pages in Chromium and has each of them try a WebSocket: plain Python, since Playwright and gevent do not mix.

The argument is JSON: ``rules`` (of --host-resolver-rules) and ``attempts``, each with a ``page`` to open, a ``url`` and
``protocols`` for its WebSocket. Prints a JSON list with what each of them saw.
"""

import json
import sys

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
# No sandbox, since root may have none; and nobody is asked anything but what the pages ask.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ATTEMPT = """
([url, protocols]) => new Promise((resolve) => {
  const seen = {origin: location.origin, opened: false, protocol: null, stdout: '', exit: null, errors: []};
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => { seen.opened = true; seen.protocol = socket.protocol; };
  socket.onmessage = ({data}) => {
    const [code, ...rest] = new Uint8Array(data);
    const text = new TextDecoder().decode(new Uint8Array(rest));
    if (code === 1) seen.stdout += text;
    if (code === 200) seen.exit = rest[0];
    if (code === 202) seen.errors.push(text);
  };
  socket.onclose = ({code}) => { seen.close = code; resolve(seen); };
})
"""


def main(rules, attempts):
    with sync_playwright() as playwright:
        options = [*OPTIONS, f"--host-resolver-rules={rules}"] if rules else OPTIONS
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        seen = []
        for attempt in attempts:
            page = browser.new_page()
            page.goto(attempt["page"])
            seen.append(page.evaluate(ATTEMPT, [attempt["url"], attempt.get("protocols", [])]))
            page.close()
        browser.close()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
