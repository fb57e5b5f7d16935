"""The manual's samples for web pages, run in a browser as they are written."""

import re
import textwrap

from dockerexec_ws.access.token_file import new_token
from tests.browser.conftest import page_of
from tests.conftest import ROOT

RUN = """
() => new Promise((resolve) => {
  const logged = [];
  const console = { log: (value) => { logged.push(value); if (typeof value === "object") resolve(logged); } };
  (async () => { %s })();
})
"""


def sample(name, start):
    """Return the literal block that begins with *start* on a page of the manual."""
    (block,) = re.findall(rf"::\n\n((?:    {re.escape(start)}.*\n)(?:    .*\n)*)", (ROOT / name).read_text())
    return textwrap.dedent(block)


def test_a_page_of_your_own(open_tab, server):
    script = sample("docs/clients.rst", "import { ExecSession }")
    script = re.sub(r"^import (.*) from (.*);", r"const \1 = await import(\2);", script)
    *output, ending = open_tab(page_of(server))("evaluate", RUN % script)
    assert "total" in "".join(output)
    assert ending == {"reason": "exited", "code": 0}


def test_a_token_as_a_subprotocol(open_tab, serve, tmp_path):
    token, line = new_token("alice")
    (tmp_path / "tokens").write_text(line + "\n")
    server = serve(token_file=tmp_path / "tokens")
    (socket,) = sample("docs/security.rst", "new WebSocket(").splitlines()
    script = f"""
        const url = {server.url + "?command=echo&command=hello"!r};
        const token = {token!r};
        const base64url = (text) => btoa(text).replace(/[+]/g, "-").replace(/[/]/g, "_").replace(/=+$/, "");
        const socket = {socket};
        socket.onclose = (event) => console.log({{ code: event.code, protocol: socket.protocol }});
    """
    (seen,) = open_tab(page_of(server))("evaluate", RUN % script)
    assert seen == {"code": 1000, "protocol": "dockerexec-ws"}
