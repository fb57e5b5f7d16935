"""The set-up of logging. It keeps what clients, containers and engines say from forging lines or driving a terminal."""

import logging
import sys

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LONGEST = 4000  # characters of a message


def set_up(level: int | str = logging.WARNING) -> None:
    """Log to stderr from *level* on, unless the program has set up its own logging. Silence urllib3's pool warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapingFormatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
    # The pool is bounded on purpose. urllib3 warns of each connection that does not fit in.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class EscapingFormatter(logging.Formatter):
    """Writes each message on one line, without control characters, however its parts came into it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Return the line of a record."""
        return escaped(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802  # logging's name
        """Return the lines of a traceback, whose last one often quotes a peer."""
        return "\n".join(map(escaped, super().formatException(ei).split("\n")))  # type: ignore[arg-type]


def escaped(text: str) -> str:
    """Return *text* with escapes in place of all characters that do not show as themselves.

    These are control characters, line ends, overrides of the direction of writing, and bytes that were not UTF-8. A
    text of more than 4000 characters is cut.
    """
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "..."
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
