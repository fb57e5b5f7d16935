"""The exceptions of this package. Clients may see their texts, so none contains a path, a token or a stack."""


class DockerExecError(Exception):
    """The root of all exceptions that this package raises on purpose.

    ``close_code`` is the WebSocket close code (RFC 6455 section 7.4) of a session that ends with it.
    """

    close_code = 1011

    stdout: bytes | str | None = None
    """The output that ``run`` or ``communicate`` had collected by then, as in ``subprocess.TimeoutExpired``."""

    stderr: bytes | str | None = None


class SettingsError(DockerExecError):
    """A setting is missing, wrong or contradicts another. The text says what to do."""


class NotPatchedError(DockerExecError):
    """gevent has not patched the standard library, so one waiting session would stop all others."""

    def __init__(self) -> None:
        super().__init__(
            "gevent has not patched the standard library. Run `import gevent.monkey; gevent.monkey.patch_all()` "
            "before every other import of your program. Under gunicorn, use a gevent worker without --preload."
        )


class ListenError(DockerExecError):
    """The server cannot listen on the address."""


class EngineError(DockerExecError):
    """The engine answered a request with an error."""


class EngineUnavailableError(EngineError):
    """The engine does not answer, or its answer breaks off."""


class EngineTimeoutError(EngineUnavailableError):
    """The engine did not answer in time. It may still carry out the request."""


class NoUpgradeError(EngineError):
    """The stream of an exec cannot be opened, because a proxy before the engine does not pass on upgrades."""


class ContainerNotFoundError(EngineError):
    """The engine has no container with that name or id."""


class ExecNotFoundError(EngineError):
    """The engine no longer knows an exec, as happens when its container stops or is removed."""

    def __init__(self) -> None:
        super().__init__("the engine no longer knows the command: its container was stopped, removed or restarted")


class NoShellError(EngineError):
    """The image has no shell to run the script that ends processes."""


class ConnectionClosedError(DockerExecError):
    """The WebSocket is closed or closing, so nothing can be sent."""


class RequestRefusedError(DockerExecError):
    """The client's request is not valid or not allowed. Nothing was run."""

    close_code = 1008


class NotAllowedError(RequestRefusedError):
    """The server's policy does not allow a parameter of the client's request. *option* of the server can allow it."""

    def __init__(self, parameter: str) -> None:
        super().__init__(f"{parameter}: not allowed")
        self.option = f"--allow-{parameter}"


class LimitExceededError(DockerExecError):
    """A session has reached one of its limits."""

    close_code = 1008


class AuditError(DockerExecError):
    """The audit log cannot be written, and the settings require it."""

    close_code = 1013

    def __init__(self) -> None:
        super().__init__("the server cannot keep its audit log")


class ShuttingDownError(DockerExecError):
    """The server shuts down, so no further session starts."""

    close_code = 1013

    def __init__(self) -> None:
        super().__init__("the server is going away")


class QuotaError(DockerExecError):
    """An identity or an address has reached its number of sessions."""

    close_code = 1013


# How a client's session ends without an exit code, besides EngineError. The names say what happened.


class SessionRefused(DockerExecError):  # noqa: N818
    """The server refused or ended the session because of authentication, policy or a limit. The text is the server's.

    ``status`` is the HTTP status if the server refused before the upgrade, else None.
    """

    close_code = 1008

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class ServerShutdown(DockerExecError):  # noqa: N818
    """The server shut down and ended the process."""

    close_code = 1001

    def __init__(self) -> None:
        super().__init__("the server was shut down")


class ConnectionLost(DockerExecError):  # noqa: N818
    """The connection failed or was lost. It is unknown whether the process has ended, and how."""

    close_code = 1006
