"""The response to a request that is refused before it becomes a session."""

import http
from collections.abc import Sequence

from websockets.frames import CloseCode


class RefusedError(Exception):
    """The request does not become a session. Carries the HTTP response to send.

    *close_code* (RFC 6455 section 7.4) is used instead if the server upgraded the connection before it called the
    application.
    """

    def __init__(
        self,
        status: int,
        text: str,
        headers: Sequence[tuple[str, str]] = (),
        *,
        close_code: int = CloseCode.POLICY_VIOLATION,
    ) -> None:
        super().__init__(f"{status} {text}")
        self.status = f"{status} {http.HTTPStatus(status).phrase}"
        self.body = f"{text}\n".encode()
        self.headers = [
            *headers,
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(self.body))),
        ]
        self.text = text
        self.close_code = close_code
