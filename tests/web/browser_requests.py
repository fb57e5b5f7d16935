"""HTTP requests as a browser makes them for the page and its files."""

import contextlib
import json
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import dockerexec_ws

SOURCES = Path(dockerexec_ws.__file__).parent / "page"


def get(url, below="", *, method="GET", host=None, **headers):
    """Request the path *below* a server's URL, unchanged; return the response and its body."""
    parts = urlsplit(url)
    with contextlib.closing(HTTPConnection(parts.hostname, parts.port, timeout=15)) as connection:
        return ask(connection, parts.path + below, method=method, host=host or parts.netloc, **headers)


def ask(connection, path, *, method="GET", host="127.0.0.1", **headers):
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": host, **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    return response, response.read()


def status_of(*arguments, **options):
    return get(*arguments, **options)[0].status


def policy(url, **headers):
    response, body = get(url, "/-/policy.json", **headers)
    assert response.status == 200, body
    return json.loads(body)
