"""Where Chromium is, and the options that every test starts it with."""

CHROMIUM = "/usr/bin/chromium"
# No sandbox, because root may have none. Nothing goes out but what the pages ask for.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
