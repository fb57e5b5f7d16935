"""The path of Chromium, and the options with which every test starts it."""

# Chromium without its own windows: a tab takes half the CPU time that it takes in the full browser.
CHROMIUM = "/usr/bin/chromium-headless-shell"
# No sandbox, because root cannot have one. Only the pages' own requests go out.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
