"""Where Chromium is, and the options that every test starts it with."""

# Chromium without its own windows: a tab takes half the CPU time of the whole browser's.
CHROMIUM = "/usr/bin/chromium-headless-shell"
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
