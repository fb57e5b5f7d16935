"""Pictures of the page in each of its states, on a desktop and on a phone, light and dark.

python -m tests.browser.pictures [FOLDER], by default build/pictures.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import dockerexec_ws
from tests.browser.conftest import DESKTOP, PHONE, Browser, Tab, page_of
from tests.conftest import ROOT

CONTAINER = "servertest"  # bin/engine's
COLOURS = r'for i in 1 2 3 4 5 6 7; do printf "\033[3%dmcolour %d \033[9%dmbright\033[0m  " $i $i $i; done; echo'
SHELL = f"""bash -c '{COLOURS}; ls -l /; echo "漢字 🙂 https://example.com/"; exec bash'"""
STDERR = "bash -c 'echo this is stdout; echo this is stderr >&2; cat; exit 2'"
LINK = "?command=tail&command=-f&command=/var/log/app.log&user=user&workdir=/tmp&env=LANG=C.UTF-8"


def states(browser, open_server, guarded_server, **options):
    """Yield a name and a tab for each state."""
    tab = Tab(browser, "page")
    tab("open", page_of(guarded_server), **options)
    tab.wait_for_status("asks for a token")
    yield "token", tab
    tab("fill", "#token", "wrong")
    tab("click", "#token-form button")
    tab.wait_for_status("not accepted")
    yield "wrong-token", tab
    tab("close")

    tab("open", page_of(open_server, LINK), **options)
    tab.wait_for_status("A link")
    yield "link", tab
    tab("close")

    tab("open", page_of(open_server), **options)
    tab.wait_for_status("^Not connected")
    yield "idle", tab
    tab.connect(SHELL)
    tab.wait_for("example.com")
    tab.wait_for(r"\$|#")
    yield "running", tab
    tab("click", "#find-open")
    tab.type("bright")
    tab.wait_for(" of ", "#find-count")
    yield "find", tab
    tab.press("Escape")
    tab.type("exit\n")
    tab.wait_for("── Ended with exit code 0")
    yield "ended", tab
    tab.connect(STDERR, tty=False)
    tab.wait_for("this is stderr")
    tab.type("typed\n")
    tab.wait_for(r"typed\s+typed")
    tab.press("Control+d")
    tab.wait_for("── Ended with exit code 2")
    yield "failed", tab
    tab("click", "#more summary")
    tab("fill", "[name=user]", "root")
    tab("click", "#connect")
    tab.wait_for("── Refused")
    yield "refused", tab
    tab("close")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    engine = subprocess.run([ROOT / "bin/engine", "up"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as state_dir:
        (pathlib.Path(state_dir) / "tokens").write_text(f"somebody:{'0' * 64}\n")
        common = {"port": 0, "path": "x", "docker_host": engine, "state_dir": state_dir}
        with (
            dockerexec_ws.DockerExecServer(CONTAINER, **common) as open_server,
            dockerexec_ws.DockerExecServer(CONTAINER, token_file=f"{state_dir}/tokens", **common) as guarded_server,
        ):
            browser = Browser("--disable-3d-apis")
            try:
                for device, options in (("desktop", DESKTOP), ("phone", PHONE)):
                    for scheme in ("light", "dark"):
                        for name, tab in states(browser, open_server, guarded_server, **options, color_scheme=scheme):
                            tab("screenshot", path=os.fspath(folder / f"{name}-{device}-{scheme}.png"))
            finally:
                browser.close()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/pictures")
