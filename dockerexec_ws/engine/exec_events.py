"""What the engine tells of its execs without being asked about each."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator

import gevent
import requests

from dockerexec_ws.engine.docker import Engine
from dockerexec_ws.engine.stream import notice_vanishing
from dockerexec_ws.errors import EngineTimeoutError, EngineUnavailableError


def ended_execs(engine: Engine) -> Iterator[str]:
    """Yield the id of each exec that ends, and an empty string when ends may go untold.

    That is once *engine* begins to tell of them, and when a container stops: the engine then forgets its execs.

    API: GET /events. Raises EngineUnavailableError, also when the events break off.
    """
    url = f"{engine.api.base_url}/v{engine.api.api_version}/events"
    filters = json.dumps({"type": ["container"], "event": ["exec_die", "die"]})
    late = EngineTimeoutError(f"the Docker Engine did not tell of its events within {engine.timeout:g} s")
    try:
        with gevent.Timeout(engine.timeout, late):
            response = engine.api.get(url, params={"filters": filters}, stream=True, timeout=None)
        with response:
            response.raise_for_status()
            with socket.socket(fileno=os.dup(response.raw.fileno())) as sock:
                if sock.family != socket.AF_UNIX:
                    notice_vanishing(sock, engine.timeout)
            yield ""
            for line in response.iter_lines(chunk_size=None):
                with contextlib.suppress(KeyError, TypeError):  # an event of another kind
                    event = json.loads(line)
                    yield "" if event["Action"] == "die" else str(event["Actor"]["Attributes"]["execID"])
    except (requests.exceptions.RequestException, OSError, ValueError) as error:
        raise EngineUnavailableError("the Docker Engine does not tell of its events") from error
