"""Serve ``docker exec`` over WebSockets: nothing lost, nothing left behind, nobody in.

Importing this package patches nothing and loads neither gevent nor docker. The names below are loaded on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dockerexec_ws.errors import (
        ContainerNotFoundError,
        DockerExecError,
        EngineError,
        EngineUnavailableError,
        ListenError,
        NotPatchedError,
        SettingsError,
    )
    from dockerexec_ws.serve.server import DockerExecServer
    from dockerexec_ws.web.handler import Handler
    from dockerexec_ws.web.mount import create_app, mount

_HOMES = {
    "ContainerNotFoundError": "dockerexec_ws.errors",
    "DockerExecError": "dockerexec_ws.errors",
    "DockerExecServer": "dockerexec_ws.serve.server",
    "EngineError": "dockerexec_ws.errors",
    "EngineUnavailableError": "dockerexec_ws.errors",
    "Handler": "dockerexec_ws.web.handler",
    "ListenError": "dockerexec_ws.errors",
    "NotPatchedError": "dockerexec_ws.errors",
    "SettingsError": "dockerexec_ws.errors",
    "create_app": "dockerexec_ws.web.mount",
    "mount": "dockerexec_ws.web.mount",
}

__all__ = [
    "ContainerNotFoundError",
    "DockerExecError",
    "DockerExecServer",
    "EngineError",
    "EngineUnavailableError",
    "Handler",
    "ListenError",
    "NotPatchedError",
    "SettingsError",
    "create_app",
    "mount",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
