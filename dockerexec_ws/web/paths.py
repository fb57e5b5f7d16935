"""The paths of an application: those of sessions, containers, the page and its files."""

import secrets

from dockerexec_ws.access.identity import Environ

ASSETS = "/-/"
"""The folder of the page's files, below the application's path. No container can have the name "-"."""


class Paths:
    """The paths of an application at *path*, which may be a secret.

    With *containers*, a path below it names a container for a session. With *page*, the application has a page.
    """

    def __init__(self, path: str, *, containers: bool, page: bool) -> None:
        self._base = path.rstrip("/").encode()
        self._containers = containers
        self._page = page

    def choice(self, environ: Environ) -> str | None:
        """Return the container that a session's path names, "" if it names none; None if no session has that path."""
        below = self._below(environ)
        if below is None or not (self._containers or below in ("", "/")):
            return None
        return below[1:]

    def page(self, environ: Environ) -> str | None:
        """Return the path of the page, or of one of its files, below the application's; None for any other path."""
        below = self._below(environ)
        if not self._page or below is None:
            return None
        if below in ("", "/") or below.startswith(ASSETS):
            return below
        # Allow one segment only. From a deeper path the page would not find its files.
        return below if self._containers and below != ASSETS[:-1] and below.count("/") == 1 else None

    def _below(self, environ: Environ) -> str | None:
        """Return the part of the path below the application's, with its slash; None if the path is not below it."""
        path: bytes = environ.get("PATH_INFO", "").encode("latin-1")
        path, below = path[: len(self._base)], path[len(self._base) :]
        if secrets.compare_digest(path, self._base) and below[:1] in (b"", b"/"):
            return below.decode(errors="replace")
        return None
