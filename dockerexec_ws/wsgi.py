"""``app``, a WSGI application set up from the environment, for ``gunicorn -k gevent dockerexec_ws.wsgi:app``."""

import atexit
import os
import signal
import threading
from types import FrameType

import gevent

from dockerexec_ws.observe import logs
from dockerexec_ws.settings.flags import app_settings_from_environment
from dockerexec_ws.web.mount import create_app

logs.set_up()
_container, _options = app_settings_from_environment()
app = create_app(_container, **_options)


def _close_at(number: int) -> None:
    """Close the application when its worker process receives signal *number*, and then let the worker react.

    gunicorn does not notify applications, and it kills the worker at the end of its graceful timeout.
    """
    ends = signal.getsignal(number)
    if not callable(ends):  # importing a module should not make a process handle a signal
        return

    def close(number: int, frame: FrameType | None) -> None:
        gevent.spawn(app.close)
        ends(number, frame)

    signal.signal(number, close)


if threading.current_thread() is threading.main_thread():  # only that thread can set signal handlers
    for _number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        _close_at(_number)


def _close_at_exit(pid: int) -> None:
    """Close the application when its process *pid* ends for another reason, such as gunicorn's --max-requests.

    gunicorn has given the sessions its graceful timeout by then.
    """
    if os.getpid() == pid:  # a forked process must not end the sessions of its parent
        app.close(drain_timeout=0)


atexit.register(_close_at_exit, os.getpid())
