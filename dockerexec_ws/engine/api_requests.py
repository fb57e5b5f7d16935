"""Requests to the engine: docker-py's client, and what each session asks, which goes below requests.

For each request, requests prepares a session, a URL, cookies and proxies again: half of the CPU time of a session's
start. ``ApiRequests`` has this done once.
"""

import contextlib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import docker
import requests
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnectionPool
from requests.utils import get_environ_proxies
from urllib3 import BaseHTTPResponse

from dockerexec_ws.errors import EngineError

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
_LONGEST_REASON = 1000  # characters; a proxy before the engine may answer with a whole page


class ApiClient(docker.APIClient):
    """docker-py's client. Of the environment it takes the proxies for tcp engines, as the docker command does.

    It does not take REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE: requests would prefer them to the ca.pem in
    DOCKER_CERT_PATH. Nor does it look for a proxy for a unix socket: that would take a third of a request's CPU time.

    Every request has the HttpHeaders of ~/.docker/config.json. docker-py adds them to some only.
    """

    trust_env = property(lambda _: False, lambda *_: None)  # requests sets it to True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        configuration: Any = getattr(self, "_general_configs", {})
        self.headers.update(configuration.get("HttpHeaders") or {})

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return the settings for a request; called by requests for each."""
        if not url.startswith("http+docker://"):
            proxies = {**get_environ_proxies(url), **(proxies or {})}
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


class ApiRequests:
    """Sends requests as *api* does. *timeout*, in seconds, bounds each wait for the engine.

    Up to *connections* connections to a unix socket are kept open for reuse; to others, as many as *api* keeps.

    The methods raise EngineError, with the engine's own text, if the engine refuses, and urllib3's errors if it does
    not answer.
    """

    def __init__(self, api: ApiClient, timeout: float, connections: int) -> None:
        base = f"{api.base_url}/v{api.api_version}"
        request = api.prepare_request(requests.Request("GET", base))
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
