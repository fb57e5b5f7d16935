"""Which path is for what: sessions, a choice of containers, the page and its files."""

import secrets

from dockerexec_ws.access.identity import Environ

ASSETS = "/-/"
"""Where the page's files are, below the application's path; "-" is no container's name."""


class Paths:
    """The paths of an application at *path*, which may be a secret.

    With *containers* a session's path may name one below it; with *page* there is a page to be had.
    """

    def __init__(self, path: str, *, containers: bool, page: bool) -> None:
        self._base = path.rstrip("/").encode()
        # What a session's path may have below the base; a server that mounts an application gives "/" as "", too.
        self._sessions = ("",) if self._base else ("", "/")
        self._containers = containers
        self._page = page

    def choice(self, environ: Environ) -> str | None:
        """Return the container that a request for a session names, "" for none; None if it is for another path."""
        below = self._below(environ)
        if below is None or not (self._containers or below in self._sessions):
            return None
        return below[1:]

    def page(self, environ: Environ) -> str | None:
        """Return where below the application's path a request for the page, or a file of it, is; None if it is not."""
        below = self._below(environ)
        if not self._page or below is None:
            return None
        if below in ("", "/") or below.startswith(ASSETS):
            return below
        # One segment only: from further down the page would not find its files.
        return below if self._containers and below != ASSETS[:-1] and below.count("/") == 1 else None

    def _below(self, environ: Environ) -> str | None:
        """Return what a request's path has below the application's, with its slash; None if it is another path."""
        path: bytes = environ.get("PATH_INFO", "").encode("latin-1")
        path, below = path[: len(self._base)], path[len(self._base) :]
        if secrets.compare_digest(path, self._base) and below[:1] in (b"", b"/"):
            return below.decode(errors="replace")
        return None
