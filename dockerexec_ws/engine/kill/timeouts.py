"""How long the killer waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """All in seconds."""

    grace: float
    """Between SIGHUP and SIGKILL."""

    patience: float = 10.0
    """After the grace, until the killer counts a process as left. It may be waiting for a disk, for example."""

    gather: float = 0.02
    """For more sessions that end at the same moment, so that all of them are ended together."""

    gather_more: float = 0.25
    """The same, while others are being ended in that container."""

    start: float = 3.0
    """For processes that the engine was told to start, and that cannot be found yet."""

    first_look: float = 0.05
    """Until the first further look for such processes. It doubles each time."""

    late_start: float = 600.0
    """For processes that the engine was told to start without an answer. It may have hung, and go on."""

    pause_poll: float = 0.5
    """Between two questions whether a container is still paused."""

    first_retry: float = 1.0
    """Until the first further attempt after a failure. It doubles each time, up to ``last_retry``."""

    last_retry: float = 30.0
