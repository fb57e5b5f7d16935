"""The exceptions of this package; the text of each may be shown to the peer: no path, no token, no stack."""


class DockerExecError(Exception):
    """The root of all exceptions that this package raises on purpose.

    ``close_code`` is the WebSocket close code (RFC 6455 section 7.4) of a session that ends with it.
    """

    close_code = 1011

    stdout: bytes | str | None = None
    """What a client that collects output (``run``, ``communicate``) had of it by then, as with TimeoutExpired."""

    stderr: bytes | str | None = None


class SettingsError(DockerExecError):
    """A setting is missing, wrong, or at odds with another; the text says what to do."""


class NotPatchedError(DockerExecError):
    """The standard library is not gevent's, so that one waiting session would stop all others."""

    def __init__(self) -> None:
        super().__init__(
            "gevent has not patched the standard library: run `import gevent.monkey; gevent.monkey.patch_all()` "
            "before every other import of your program (under gunicorn: use a gevent worker, without --preload)"
        )


class ListenError(DockerExecError):
    """The address to listen on cannot be had."""


class EngineError(DockerExecError):
    """The engine answered a request with an error."""


class EngineUnavailableError(EngineError):
    """The engine does not answer, or broke off in the middle."""


class EngineTimeoutError(EngineUnavailableError):
    """The engine did not answer in time; what it was asked it may still do."""


class ContainerNotFoundError(EngineError):
    """The engine has no container of that name or id."""


class NoShellError(EngineError):
    """The image has no shell in which the script that ends processes could run."""


class ConnectionClosedError(DockerExecError):
    """Sent on a WebSocket that is closed or closing."""


class RequestRefusedError(DockerExecError):
    """What the client asks for cannot be run; nothing was."""

    close_code = 1008


class LimitExceededError(DockerExecError):
    """A session has used up what it may."""

    close_code = 1008


class AuditError(DockerExecError):
    """The audit log cannot be written, and nothing may happen without it."""

    close_code = 1013

    def __init__(self) -> None:
        super().__init__("the server cannot keep its audit log")


class QuotaError(DockerExecError):
    """An identity, or an address, has as many sessions as it may have."""

    close_code = 1013


# What a client's session ends with, where that is no exit code; EngineError is another. Named by what happened.


class SessionRefused(DockerExecError):  # noqa: N818
    """The server does not let a session begin, or go on: authentication, policy, a limit; the text is the server's.

    ``status`` is the HTTP status of a refusal before the upgrade, None after it.
    """

    close_code = 1008

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class ServerShutdown(DockerExecError):  # noqa: N818
    """The server went away in order, and ended the process."""

    close_code = 1001

    def __init__(self) -> None:
        super().__init__("the server was shut down")


class ConnectionLost(DockerExecError):  # noqa: N818
    """There is no connection, or no longer one; how the process ended, if it did, is not known."""

    close_code = 1006
