"""A file of the page, with its compressed forms and what tells a browser's cache how long it is true."""

import hashlib
import re
from pathlib import Path

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".LICENSE": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The media types of the page's files, by suffix."""

_SUFFIXES = {"br": ".br", "gzip": ".gz"}  # of the compressed forms, the best first
_HAS_HASH = re.compile(r"\.[0-9a-f]{8}\.\w+")  # at the end of a name that no other content will ever have
_REFUSED = re.compile(r"q *= *0(\.0*)?")


class PageFile:
    """The file at *path*. The package's build put its compressed forms in the folder *compressed*, by its content."""

    def __init__(self, path: Path, compressed: Path) -> None:
        data = path.read_bytes()
        self._digest = hashlib.sha256(data).hexdigest()[:32]
        self._forms = {"": data}
        for coding, suffix in _SUFFIXES.items():
            form = compressed / (self._digest + suffix)
            if form.is_file():
                self._forms[coding] = form.read_bytes()
        self.type = TYPES[path.suffix]
        """The media type."""
        is_final = _HAS_HASH.search(path.name) is not None
        self.cache_control = "max-age=31536000, immutable" if is_final else "no-cache"
        """The value of Cache-Control."""

    def coding(self, accepted: str) -> str:
        """Return the best coding for a browser that sends *accepted* as Accept-Encoding (RFC 9110 12.5.3); "": none."""
        items = [[part.strip() for part in item.lower().split(";")] for item in accepted.split(",")]
        codings = {name for name, *parameters in items if not any(map(_REFUSED.fullmatch, parameters))}
        return next((coding for coding in _SUFFIXES if coding in codings and coding in self._forms), "")

    def data(self, coding: str) -> bytes:
        """Return the file in *coding*."""
        return self._forms[coding]

    def etag(self, coding: str) -> str:
        """Return the ETag of the file in *coding*."""
        return f'"{self._digest}-{coding}"' if coding else f'"{self._digest}"'
