"""The table ``engine``: which engine runs the commands."""

from dataclasses import dataclass

from dockerexec_ws.settings.kinds import Seconds, Text, TextPath
from dockerexec_ws.settings.option import Record, option


@dataclass(frozen=True, kw_only=True)
class EngineSettings(Record):
    """Which engine runs the commands. By default DOCKER_HOST names it, or else it is at /var/run/docker.sock."""

    table = "engine"

    docker_host: str | None = option(
        None, Text(), "Address of the engine, as in DOCKER_HOST (unix:///PATH or tcp://HOST:PORT).", metavar="URL"
    )
    docker_socket: str | None = option(
        None, TextPath(), "Path of the engine's unix socket, instead of its address.", metavar="PATH"
    )
    engine_timeout: float = option(30.0, Seconds(positive=True), "Seconds that the engine has to answer a request.")
