"""The client: ``run`` and ``connect``, as ``subprocess`` has ``run`` and ``Popen``; plain threads, no gevent needed.

In a program that gevent has patched it works as well. Servers are this package's and docker-exec-websocket-server.
"""

from dockerexec_ws.client.process import Process, connect, run
from dockerexec_ws.errors import ConnectionLost, DockerExecError, EngineError, ServerShutdown, SessionRefused

__all__ = [
    "ConnectionLost",
    "DockerExecError",
    "EngineError",
    "Process",
    "ServerShutdown",
    "SessionRefused",
    "connect",
    "run",
]
