"""The pictures of the README: the page, and the terminal client in tmux. python -m tests.browser.readme_pictures."""

import contextlib
import os
import pathlib
import subprocess
import tempfile

from rich.console import Console
from rich.text import Text

import dockerexec_ws
from tests.browser.conftest import Browser, Tab, page_of
from tests.browser.pictures import CONTAINER
from tests.client.terminal.tmux import Screen
from tests.conftest import ROOT

FOLDER = ROOT / "docs/pictures"
SIZE = {"viewport": {"width": 960, "height": 540}}
COLUMNS = 80


def page(browser, server, file):
    """Take a picture of the page while a shell runs in it."""
    tab = Tab(browser, "page")
    tab("open", page_of(server), **SIZE)
    tab.connect("bash")
    tab.wait_for(r"\$|#")
    tab.type("ls -l --color=always /; uname -s\n")
    tab.wait_for("Linux")
    tab("screenshot", path=os.fspath(file))
    tab("close")


def terminal(browser, server, file):
    """Take a picture of the terminal client: a shell in the container, and the exit status."""
    with contextlib.closing(Screen()) as screen, tempfile.TemporaryDirectory() as folder:
        screen.enter("clear")
        screen.enter(f'dockerexec-ws-client() {{ $client "$@"; }}; url={server.url}; clear')
        screen.wait_for_prompt()
        screen.enter("dockerexec-ws-client $url -- bash")
        screen.wait_for("bash-")
        screen.enter("ls /; exit 7")
        screen.wait_for_prompt()
        screen.enter("echo $?")
        screen.wait_for_prompt()
        screen.wait_for_line("7", "local>")
        console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
        console.print(Text.from_ansi("\n".join(screen.lines())))
        drawing = pathlib.Path(folder) / "terminal.svg"
        console.save_svg(os.fspath(drawing), title="dockerexec-ws-client")
        tab = Tab(browser, "terminal")
        tab("open", drawing.as_uri(), viewport={"width": 960, "height": 330})
        tab("screenshot", path=os.fspath(file))
        tab("close")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    engine = subprocess.run([ROOT / "bin/engine", "up"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as state_dir:
        options = {"port": 0, "path": "x", "docker_host": engine, "state_dir": state_dir}
        with dockerexec_ws.DockerExecServer(CONTAINER, **options) as server:
            browser = Browser("--disable-3d-apis")
            try:
                page(browser, server, FOLDER / "page.png")
                terminal(browser, server, FOLDER / "terminal.png")
            finally:
                browser.close()


if __name__ == "__main__":
    main()
