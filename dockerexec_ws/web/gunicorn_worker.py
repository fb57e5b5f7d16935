"""What gunicorn's own settings keep from the sessions, in words for the log."""

import importlib
import sys
from types import FrameType
from typing import Any

from dockerexec_ws.web.handler import PYWSGI_LINE

ENOUGH_REQUEST_LINE = 16 * 1024
"""Bytes that the original server takes in a request's head. Commands that it ran should run here."""


def gunicorn_worker() -> Any:
    """Return the gunicorn worker that is loading the application, or None. gunicorn tells its settings to nobody."""
    base = sys.modules.get("gunicorn.workers.base")
    frame: FrameType | None = sys._getframe() if base is not None else None
    while frame is not None:
        caller = frame.f_locals.get("self")
        if base is not None and isinstance(caller, base.Worker):
            return caller
        frame = frame.f_back
    return None


def shortcomings(worker: Any, max_sessions: int) -> list[str]:
    """Return what *worker*'s settings are too small for, with the flag that mends it."""
    found = []
    highest = importlib.import_module("gunicorn.http.message").MAX_REQUEST_LINE
    limit = min(worker.cfg.limit_request_line, highest)  # gunicorn lowers it without a word
    if getattr(worker, "server_class", None) is not None:  # it serves with pywsgi, which has a limit of its own
        limit = PYWSGI_LINE
    if 0 < limit < ENOUGH_REQUEST_LINE:  # 0 is no limit
        found.append(
            f"this worker of gunicorn refuses request lines of more than {limit} bytes, so long commands get 414. "
            "Start gunicorn with -k gevent --limit-request-line 0."
        )
    connections = worker.cfg.worker_connections
    if connections < max_sessions:
        found.append(
            f"gunicorn takes at most {connections} connections in a worker, but max_sessions is {max_sessions}: "
            "further clients would wait without an answer. Start gunicorn with "
            f"--worker-connections {max_sessions} or more."
        )
    return found
