"""The client: ``run`` and ``check_output`` are as in ``subprocess``, and ``connect`` is like its ``Popen``.

It uses plain threads and needs no gevent, but also works in a program that gevent has patched. It works with servers of
this package and of docker-exec-websocket-server.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dockerexec_ws.client.process import Process
    from dockerexec_ws.client.start import check_output, connect, run
    from dockerexec_ws.errors import ConnectionLost, DockerExecError, EngineError, ServerShutdown, SessionRefused

# Loaded when used, so that help and completion of the command line need neither TLS nor WebSockets.
_HOMES = {
    "ConnectionLost": "dockerexec_ws.errors",
    "DockerExecError": "dockerexec_ws.errors",
    "EngineError": "dockerexec_ws.errors",
    "Process": "dockerexec_ws.client.process",
    "ServerShutdown": "dockerexec_ws.errors",
    "SessionRefused": "dockerexec_ws.errors",
    "check_output": "dockerexec_ws.client.start",
    "connect": "dockerexec_ws.client.start",
    "run": "dockerexec_ws.client.start",
}

__all__ = [
    "ConnectionLost",
    "DockerExecError",
    "EngineError",
    "Process",
    "ServerShutdown",
    "SessionRefused",
    "check_output",
    "connect",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
