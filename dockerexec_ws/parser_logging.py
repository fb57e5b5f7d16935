"""The logger for the parsers of the ``websockets`` library, on both sides of a connection."""

import logging


class FramelessLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs only warnings and errors, whatever level the program has set.

    At debug level the parsers log every header and every frame, which would put tokens and stdin into the log.
    """

    def __init__(self) -> None:
        super().__init__(logging.getLogger("dockerexec_ws.websockets"))

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # the name is the base class's
        """Return whether *level* is logged; never below ``logging.WARNING``."""
        return level >= logging.WARNING and super().isEnabledFor(level)


frameless_logger = FramelessLogger()
"""The logger that all connections share."""
