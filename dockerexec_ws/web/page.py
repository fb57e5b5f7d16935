"""The page that a browser gets at the server's URL: a terminal, and the files it is made of."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote

from dockerexec_ws.access.identity import Environ
from dockerexec_ws.access.refusal import RefusedError
from dockerexec_ws.web.page_file import TYPES, PageFile
from dockerexec_ws.web.paths import ASSETS

POLICY = f"{ASSETS}policy.json"
"""The path of the policy, which tells a client what it may ask for; below the application's path."""

UNBUILT = (
    "The browser page was not built, because its libraries come from npm when this package is installed, and npm was "
    "missing or failed. Install Node.js with npm and then this package again, or switch the page off (--no-page)."
)

_FOLDER = Path(__file__).parent.parent / "page"
_CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # xterm.js makes <style> elements
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # the path may be a secret
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A WSGI response."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Page:
    """The page and its files. The constructor reads all of them.

    *token* says whether the page asks for a bearer token: "required", "optional" (the server can also identify the
    client in another way) or "none".
    """

    def __init__(self, token: str) -> None:
        self._html = (_FOLDER / "index.html").read_text(encoding="utf-8").replace("{{token}}", token)
        libraries = list(_FOLDER.glob("vendor/*"))
        self.is_built = bool(libraries)
        """Whether the page's libraries are installed."""
        paths = [path for path in [*_FOLDER.iterdir(), *libraries] if path.suffix in TYPES]
        # Names from clients are looked up in this mapping. They never reach the file system.
        self._files = {
            ASSETS + path.relative_to(_FOLDER).as_posix(): PageFile(path, _FOLDER / "compressed") for path in paths
        }

    def answer(self, below: str, environ: Environ) -> Answer:
        """Answer a request for the path *below* the application's. Raises RefusedError: 404, 503."""
        file = self._files.get(below)
        if file is None and below.startswith(ASSETS):
            raise RefusedError(404, "There is nothing at this path. Check the URL.")
        if not self.is_built:
            raise RefusedError(503, UNBUILT, [("Cache-Control", "no-store")])
        if file is None:
            return self._html_answer(below, environ)
        coding = file.coding(environ.get("HTTP_ACCEPT_ENCODING", ""))
        etag = file.etag(coding)
        headers = [("ETag", etag), ("Cache-Control", file.cache_control), ("Vary", "Accept-Encoding"), *_ALWAYS]
        known = environ.get("HTTP_IF_NONE_MATCH", "")
        if known.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            return Answer("304 Not Modified", headers, b"")
        if coding:
            headers.append(("Content-Encoding", coding))
        return _answer(file.type, headers, file.data(coding))

    def _html_answer(self, below: str, environ: Environ) -> Answer:
        # The addresses are relative to the folder of the page's URL: behind a proxy, the path may have a prefix.
        path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
        name = "" if below else quote(path.rpartition(b"/")[2], safe="")
        assets = f"./{name}{ASSETS}" if name else f".{ASSETS}"
        headers = [
            ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
            ("Cache-Control", "no-store"),
            *_ALWAYS,
        ]
        return _answer("text/html; charset=utf-8", headers, self._html.replace("{{assets}}", assets).encode())


def policy_answer(offer: Mapping[str, object]) -> Answer:
    """Return the response with the policy: what the client may ask for."""
    return _answer("application/json", [("Cache-Control", "no-store"), *_ALWAYS], json.dumps(offer).encode())


# What an Origin header of a browser can contain. A refusal repeats it, so line ends could forge lines of logs.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[\x21-\x7e]{1,300}|null")


def with_page_origin(environ: Environ) -> Environ:
    """Return *environ* with the origin that the page tells in its query, unless the browser sent one.

    A browser sends it when it opens a session, but not when the page asks for the policy. With it, the policy is
    refused for the same reason as a session would be, and the page can show that reason. Another site's page gains
    nothing: it cannot read the answer.
    """
    if "HTTP_ORIGIN" in environ:
        return environ
    told = dict(parse_qsl(environ.get("QUERY_STRING", ""))).get("origin", "")
    return {**environ, "HTTP_ORIGIN": told} if _ORIGIN.fullmatch(told) else environ


def is_for_page(environ: Environ) -> bool:
    """Whether a request is not for a WebSocket, and was not for one before a proxy removed its Upgrade header."""
    return not any(key == "HTTP_UPGRADE" or key.startswith("HTTP_SEC_WEBSOCKET_") for key in environ)


def _answer(kind: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
    return Answer("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body))), *headers], body)
