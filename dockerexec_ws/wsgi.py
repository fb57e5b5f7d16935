"""``app``, the WSGI application made from the environment, for ``gunicorn -k gevent dockerexec_ws.wsgi:app``."""

from dockerexec_ws.cli import app_settings_from_environment
from dockerexec_ws.server.app import create_app

_container, _options = app_settings_from_environment()
app = create_app(_container, **_options)
