"""Ways to make an application: by itself, or beside another one under the same server."""

from collections.abc import Iterable
from typing import Any

from dockerexec_ws.access.identity import Environ
from dockerexec_ws.settings.settings import Settings
from dockerexec_ws.settings.typed_keywords import takes, takes_more
from dockerexec_ws.web.app import App, StartResponse, WSGIApp


class Mount:
    """Two applications under one server: ``app`` at its path, *wsgi_app* everywhere else. Made by ``mount``."""

    def __init__(self, wsgi_app: WSGIApp, app: App) -> None:
        self.app = app
        """The application that serves the sessions. It has the path, the events and ``close``."""
        self._wsgi_app = wsgi_app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return (self.app if self.app.serves(environ) else self._wsgi_app)(environ, start_response)


@takes(Settings)
def create_app(container_id: str | None = None, **options: Any) -> App:
    """Make the WSGI application; *options* are those of the records in ``dockerexec_ws.settings.schema``.

    Raises SettingsError, NotPatchedError, EngineUnavailableError, ContainerNotFoundError.
    """
    app = App(Settings.of(container_id, options))
    app.start()
    return app


@takes_more(Settings)
def mount(wsgi_app: WSGIApp, container_id: str | None = None, **options: Any) -> Mount:
    """Put the application beside an existing one, under one server; arguments and errors as for ``create_app``."""
    return Mount(wsgi_app, create_app(container_id, **options))
