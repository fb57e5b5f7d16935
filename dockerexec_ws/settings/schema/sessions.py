"""The table ``sessions``: how many sessions there are, how long each lasts, and what becomes of its processes."""

# ruff: noqa: RUF009  # option() is a dataclass's field()

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dockerexec_ws.settings.kinds import Flag, Folder, Many, OneOf, Seconds, Text, Variable, Whole, Words
from dockerexec_ws.settings.option import Record, option


@dataclass(frozen=True, kw_only=True)
class SessionSettings(Record):
    """How many sessions there are, how long they last, and what becomes of their processes."""

    table = "sessions"

    max_sessions: int = option(10, Whole(1), "Maximum number of sessions at the same time.")
    wrapper_command: Sequence[str] = option((), Words(), "Words to put before each client's command.", metavar="WORDS")
    term: str = option(
        "xterm-256color",
        Text(),
        "TERM of a session with a terminal if the client does not send one. Empty: the engine's, which is xterm.",
    )
    lang: str = option(
        "C.UTF-8",
        Text(),
        "LANG of a session with a terminal, if neither the container nor the client sets LANG, LC_ALL or LC_CTYPE. "
        "Empty: none.",
    )
    session_env: Sequence[str] = option(
        (), Many(Variable()), "Environment variable that every session gets.", metavar="NAME=VALUE"
    )
    max_message_size: int = option(16 * 1024 * 1024, Whole(1), "Maximum size of a message from a client, in bytes.")
    output_limit: int = option(
        8 * 1024 * 1024,
        Whole(64 * 1024),
        "Bytes of output to hold for a client that does not read. Beyond that, the process has to wait. With a tty the "
        "limit is at most 256 KiB.",
    )
    compress: bool = option(False, Flag(), "Compress messages (permessage-deflate) for clients that offer it.")
    ping_interval: float = option(
        20.0, Seconds(), "Seconds of silence after which the server sends a ping; 0: no pings."
    )
    ping_timeout: float = option(
        20.0, Seconds(positive=True), "Seconds of further silence after which the server considers the connection lost."
    )
    idle_timeout: float = option(
        0.0, Seconds(), "Seconds without input and output after which a session ends; 0: never."
    )
    max_duration: float = option(0.0, Seconds(), "Maximum duration of a session in seconds; 0: no limit.")
    max_output: int = option(0, Whole(0), "Maximum output of a session in bytes; 0: no limit.")
    on_disconnect: str = option(
        "kill",
        OneOf(("kill", "leave")),
        "What to do with a session's processes when its client or the server goes away.",
    )
    grace: float = option(0.5, Seconds(), "Seconds between SIGHUP and SIGKILL when the server ends a process.")
    state_dir: Path | str | None = option(
        None,
        Folder(),
        "Directory in which a running server keeps a record. If the server is killed, the next one finds the record "
        "and ends the processes that are left.",
        default_text="/var/lib/dockerexec-ws/instances; if not root, in ~/.local/state",
    )
    drain_timeout: float = option(0.0, Seconds(), "Seconds that sessions have to end by themselves after SIGTERM.")
