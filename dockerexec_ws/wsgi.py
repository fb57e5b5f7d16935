"""``app``, the WSGI application made from the environment, for ``gunicorn -k gevent dockerexec_ws.wsgi:app``."""

import signal
import threading
from types import FrameType

import gevent

from dockerexec_ws.settings.flags import app_settings_from_environment
from dockerexec_ws.web.app import create_app

_container, _options = app_settings_from_environment()
app = create_app(_container, **_options)


def _close_at(number: int) -> None:
    """Close the application when its worker process is told to end, before the worker does what it does then.

    gunicorn tells an application nothing, and kills the worker at the end of its graceful timeout.
    """
    ends = signal.getsignal(number)
    if not callable(ends):  # the process has not been given a way to end; it is not for a module to do that
        return

    def close(number: int, frame: FrameType | None) -> None:
        gevent.spawn(app.close)
        ends(number, frame)

    signal.signal(number, close)


if threading.current_thread() is threading.main_thread():  # signals are that thread's
    for _number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        _close_at(_number)
