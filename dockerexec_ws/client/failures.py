"""The exception for a session that ended without an exit code."""

from websockets.frames import Close, CloseCode

from dockerexec_ws.errors import ConnectionLost, DockerExecError, EngineError, ServerShutdown, SessionRefused

_NO_REASON = "the server gave no reason"


def failure(
    *, shutdown: bool, close: Close | None, complaint: str, ready: bool, broken: BaseException | None
) -> DockerExecError:
    """Return the exception for the end of a connection.

    *shutdown* says whether the server sent Shutdown, and *ready* whether the process ran. *close* is the server's close
    frame, *complaint* the text of its last Error, and *broken* its violation of the WebSocket protocol.
    """
    code, reason = (None, "") if close is None else (close.code, printable(close.reason))
    if shutdown or code == CloseCode.GOING_AWAY:
        return ServerShutdown()
    text = complaint or reason
    if code in (CloseCode.POLICY_VIOLATION, CloseCode.TRY_AGAIN_LATER):
        return SessionRefused(text or _NO_REASON)
    if code == CloseCode.INTERNAL_ERROR:
        return EngineError(text or _NO_REASON)
    if complaint and not ready:  # docker-exec-websocket-server sends no close codes
        return SessionRefused(complaint)
    if code is not None and code != CloseCode.NO_STATUS_RCVD:
        return ConnectionLost(f"the server closed with {code} {reason}".rstrip())
    if broken is not None and not isinstance(broken, EOFError):
        return ConnectionLost(f"the server broke the protocol: {printable(str(broken))}")
    return ConnectionLost("the connection was lost")


def printable(text: str) -> str:
    """Return *text* from a server without the characters that could control a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
