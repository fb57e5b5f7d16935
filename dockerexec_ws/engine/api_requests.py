"""Requests to the engine that each session makes, prepared by docker-py but sent below requests.

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
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnectionPool
from urllib3 import BaseHTTPResponse

from dockerexec_ws.errors import EngineError

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
_LONGEST_REASON = 1000  # characters; a proxy before the engine may answer with a whole page


class ApiRequests:
    """Sends requests as *api* does. *timeout*, in seconds, bounds each wait for the engine.

    Up to *connections* connections to a unix socket are kept open for reuse; to others, as many as *api* keeps.

    The methods raise EngineError, with the engine's own text, if the engine refuses, and urllib3's errors if it does
    not answer.
    """

    def __init__(self, api: docker.APIClient, timeout: float, connections: int) -> None:
        base = f"{api.base_url}/v{api.api_version}"
        general: Any = getattr(api, "_general_configs", {})  # ~/.docker/config.json
        request = api.prepare_request(requests.Request("GET", base, headers=general.get("HttpHeaders")))
        settings = api.merge_environment_settings(request.url, {}, None, None, None)
        adapter: Any = api.get_adapter(base)
        if isinstance(adapter, UnixHTTPAdapter):
            # docker-py has a pool for each URL, and closes the one that was not used for the longest time.
            self._pool: Any = UnixHTTPConnectionPool(base, adapter.socket_path, maxsize=connections)
        else:
            self._pool = adapter.get_connection_with_tls_context(
                request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
            )
        self._base = adapter.request_url(request, settings["proxies"])
        self._headers = {**request.headers, "Content-Type": "application/json"}
        self._timeout = timeout

    def close(self) -> None:
        """Close the connections that are kept for reuse. Idempotent."""
        self._pool.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        not_found: EngineError | None = None,
    ) -> Any:
        """Send a request and return the JSON of the answer, or None if it is empty.

        Raises *not_found* instead of EngineError if the engine has nothing at *path*.
        """
        response = self._send(method, path, body, self._headers, preload_content=True)
        if response.status == HTTPStatus.NOT_FOUND and not_found is not None:
            raise not_found
        _check(response)
        return json.loads(response.data) if response.data else None

    def hijack(self, path: str, body: Mapping[str, object]) -> BaseHTTPResponse:
        """Send a POST request that asks for the connection itself, and return the head of the answer.

        The answer owns the connection.
        """
        response = self._send("POST", path, body, {**self._headers, **_UPGRADE}, preload_content=False)
        _check(response)
        return response

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
        return response


def _check(response: BaseHTTPResponse) -> None:
    """Raise EngineError if the engine refuses, in its own words if it gives any. It redirects nobody."""
    if response.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    text = response.data.decode(errors="replace").strip()
    with contextlib.suppress(ValueError, LookupError, TypeError):  # a proxy in between has answered
        text = str(json.loads(text)["message"]).strip()
    raise EngineError(text[:_LONGEST_REASON] or f"the engine answered {response.status} {response.reason}")
