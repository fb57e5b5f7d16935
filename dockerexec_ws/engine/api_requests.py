"""Requests to the engine that each session makes, over docker-py's connections but below requests.

For each request, requests prepares a session, a URL, cookies and proxies again: half of the CPU time of a session's
start. Here this is done once.
"""

import contextlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import docker
import requests
from urllib3 import BaseHTTPResponse

from dockerexec_ws.errors import EngineError

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
_LONGEST_REASON = 1000  # characters; a proxy before the engine may answer with a whole page


class ApiError(EngineError):
    """The engine refused a request with the HTTP status *status*."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class ApiRequests:
    """Sends requests through the connections of *api*. *timeout*, in seconds, bounds each wait for the engine.

    The methods raise ApiError, with the engine's own text, if the engine refuses, and urllib3's errors if it does
    not answer.
    """

    def __init__(self, api: docker.APIClient, timeout: float) -> None:
        base = f"{api.base_url}/v{api.api_version}"
        request = api.prepare_request(requests.Request("GET", base))
        settings = api.merge_environment_settings(request.url, {}, None, None, None)
        adapter: Any = api.get_adapter(base)
        self._pool = adapter.get_connection_with_tls_context(
            request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
        )
        self._base = adapter.request_url(request, settings["proxies"])
        self._headers = {**request.headers, "Content-Type": "application/json"}
        self._timeout = timeout

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Send a request and return the JSON of the answer, or None if it is empty."""
        data = self._send(method, path, body, self._headers, preload_content=True).data
        return json.loads(data) if data else None

    def hijack(self, path: str, body: Mapping[str, object]) -> BaseHTTPResponse:
        """Send a POST request that asks for the connection itself, and return the head of the answer.

        The answer owns the connection.
        """
        return self._send("POST", path, body, {**self._headers, **_UPGRADE}, preload_content=False)

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        headers: Mapping[str, str],
        *,
        preload_content: bool,
    ) -> BaseHTTPResponse:
        response: BaseHTTPResponse = self._pool.urlopen(
            method,
            self._base + path,
            body=None if body is None else json.dumps(body).encode(),
            headers=headers,
            retries=False,  # the engine may have done it already
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=preload_content,
        )
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(_reason(response), response.status)
        return response


def _reason(response: BaseHTTPResponse) -> str:
    """Return why the engine refuses, in its own words if it gives any."""
    text = response.data.decode(errors="replace").strip()
    with contextlib.suppress(ValueError, LookupError, TypeError):  # a proxy in between has answered
        text = json.loads(text)["message"].strip()
    return text[:_LONGEST_REASON] or f"the engine answered {response.status} {response.reason}"
