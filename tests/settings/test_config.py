"""The policy file gives the same settings as flags."""

import tomllib

import click
import pytest

from dockerexec_ws import cli
from dockerexec_ws.settings.schema import TABLES
from tests.peer import Peer, Transcript
from tests.settings.checking import check
from tests.settings.command import covered_run as run
from tests.settings.command import covered_running as running

NOWHERE = "tcp://127.0.0.1:1"


# All keys except docker_socket (excluded by docker_host) and container (excluded by allow_container).
EVERYTHING = """
[server]
host = "::1"
port = 0
path = "é"
page = false
handshake_timeout = 3
max_request_line = 2000
certfile = "cert.pem"
keyfile = "key.pem"
client_ca = "ca.pem"
log_level = "info"

[engine]
docker_host = "tcp://127.0.0.1:1"
engine_timeout = 1.5

[containers]
allow_container = ["web-*", "db"]
allow_container_label = ["shell=yes"]
allow_own_container = true

[sessions]
max_sessions = 7
wrapper_command = "nice -n '5'"
term = "xterm"
lang = "de_DE.UTF-8"
session_env = ["A=1", "B=x y"]
max_message_size = 1000
output_limit = 65536
compress = true
ping_interval = 0
ping_timeout = 1
idle_timeout = 2
max_duration = 3.5
max_output = 4
on_disconnect = "leave"
grace = 0.25
state_dir = "/nonexistent/state"
drain_timeout = 6

[access]
allow_unauthenticated = true
allow_origin = ["https://a.example", "https://b.example"]
allow_host = ["a.example"]
trusted_proxy = ["10.0.0.0/8"]
token_file = "tokens"
jwt_key_file = "key"
jwt_issuer = "issuer"
jwt_audience = "audience"
identity_header = "X-User"
max_sessions_per_identity = 2
max_sessions_per_address = 3
max_starts_per_minute = 4

[requests]
allow_command = ["ls", "git *", "'two words'"]
allow_tty = false
allow_user = ["app"]
allow_workdir = ["/srv/*"]
allow_env = ["LC_*"]
allow_privileged = true
read_only = true

[audit]
audit_log = "-"
audit_optional = true
"""


@pytest.fixture
def options(monkeypatch):
    """A function that runs the command line and returns the options with which it makes a server."""

    def options(*arguments, **environment):
        made = []
        with monkeypatch.context() as patched:
            patched.setattr(cli, "DockerExecServer", lambda container, **options: made.append((container, options)))
            result = check(*arguments, **environment)
        assert result.exit_code == 0, result.stderr
        ((container, options),) = made
        return options | {"container": container}

    return options


def test_every_option_is_in_exactly_one_table():
    keys = [key for table in TABLES.values() for key in table]
    parameters = [parameter.name for parameter in cli.command.params if isinstance(parameter, click.Option)]
    assert sorted([*keys, "config", "check_config", "version"]) == sorted(parameters)


def test_a_file_with_everything_gives_what_the_flags_would(options, write):
    """A setting has one meaning, wherever it comes from."""
    flags = []
    for table, keys in tomllib.loads(EVERYTHING).items():
        assert set(TABLES[table]) - set(keys) <= {"docker_socket", "container"}
        for key, value in keys.items():
            flag = "--" + key.replace("_", "-")
            if value is False:
                flags.append(flag.replace("--", "--no-", 1))
            elif value is True:
                flags.append(flag)
            else:
                flags += [f"{flag}={item}" for item in (value if isinstance(value, list) else [value])]
    by_file = options("--config", write(EVERYTHING))
    assert by_file == options(*flags)
    assert by_file["allow_command"] == ("ls", ("git", "*"), "two words")
    assert by_file["wrapper_command"] == ("nice", "-n", "5")
    assert by_file == options(DOCKEREXEC_WS_CONFIG=write(EVERYTHING))


def test_words_can_be_a_list(options, write):
    text = """
    containers.container = "c"
    sessions.wrapper_command = ["nice", "two words"]
    requests.allow_command = [["ls"], ["cat", "a b"], "echo"]
    """
    given = options("--config", write(text))
    assert given["container"] == "c"
    assert given["wrapper_command"] == ("nice", "two words")
    assert given["allow_command"] == (("ls",), ("cat", "a b"), "echo")


def test_an_empty_file_gives_the_defaults(options, write):
    given = options("--config", write(""), "--container", "c")
    assert given == options("--container", "c")


def test_a_file_with_a_byte_order_mark(options, write):
    assert options("--config", write("\ufeff[server]\nport = 1\n"), "--container", "c")["port"] == 1


def test_an_empty_list_of_commands_allows_none(options, write):
    """An empty list is not the default, which allows all."""
    assert options("--config", write("requests.allow_command = []"), "--container", "c")["allow_command"] == ()


def test_flags_go_before_the_environment_and_that_before_the_file(options, write):
    file = write(
        """
        containers.container = "file"
        engine.docker_host = "unix:///file"
        sessions.max_sessions = 1
        access.allow_origin = ["http://file"]
        requests.allow_tty = false
        """
    )
    environment = {
        "DOCKEREXEC_WS_CONFIG": file,
        "DOCKEREXEC_WS_CONTAINER": "environment",
        "DOCKEREXEC_WS_MAX_SESSIONS": "2",
    }
    given = options(**environment)
    assert (given["container"], given["max_sessions"]) == ("environment", 2)
    assert (given["allow_origin"], given["allow_tty"]) == (("http://file",), False)
    given = options("--max-sessions", "3", "--allow-tty", "--allow-origin", "http://flag", **environment)
    assert (given["container"], given["max_sessions"]) == ("environment", 3)
    assert (given["allow_origin"], given["allow_tty"]) == (("http://flag",), True)
    # The engine has two options: the source that takes precedence for one also overrides the other.
    given = options(DOCKEREXEC_WS_DOCKER_SOCKET="/environment", **environment)
    assert (given["docker_host"], given["docker_socket"]) == (None, "/environment")
    given = options("--docker-socket", "/flag", **environment)
    assert (given["docker_host"], given["docker_socket"]) == (None, "/flag")


# The command as a user runs it


def test_check_config_only_checks(write, tmp_path):
    """The check needs no engine and leaves nothing behind, so it can run where the file is written."""
    file = write("[containers]\ncontainer = 'c'\n")
    result = run("--config", file, "--check-config", DOCKER_HOST=NOWHERE)
    assert (result.returncode, result.stdout, result.stderr) == (0, "the settings are in order\n", "")
    assert not (tmp_path / "state").exists()


def test_a_mistake_as_a_user_sees_it(write):
    for arguments in ([], ["--check-config"]):
        result = run("--config", write("[server]\nport = '80'\n"), "--container", "c", *arguments)
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        assert "server.port: " in result.stderr


def test_a_server_with_a_policy_file(docker_host, container, write):
    text = f"""
    [server]
    port = 0
    path = "from-file"
    [engine]
    docker_host = "{docker_host}"
    [containers]
    container = "{container}"
    [sessions]
    wrapper_command = ["echo", "a  b"]
    [requests]
    allow_command = ["c"]
    """
    with running("--config", write(text)) as (process, url):
        assert url.endswith("/from-file")
        assert Transcript(Peer(url, "c")).stdout == b"a  b c\n"
        assert Transcript(Peer(url, "d")).errors == ["command: not allowed"]
        process.terminate()
        stdout, stderr = process.communicate(timeout=20)
    assert stdout == ""
    (line,) = stderr.splitlines()
    assert line.endswith("a client was told 'command: not allowed'. The option --allow-command can allow it.")
