"""The policy file: it gives what flags would, and each mistake in it is one line that tells where it is."""

import os
import tomllib

import click
import pytest
from click.testing import CliRunner

from dockerexec_ws import cli
from dockerexec_ws.settings.schema import TABLES
from tests.peer import Peer, Transcript
from tests.settings.test_cli import run, running

NOWHERE = "tcp://127.0.0.1:1"

# All keys but those that exclude each other: docker_socket (docker_host), container (allow_container).
EVERYTHING = """
[server]
host = "::1"
port = 0
path = "é"
page = false
handshake_timeout = 3
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
def write(tmp_path):
    """A function that writes a policy file and returns its path."""

    def write(text):
        path = tmp_path / "policy.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def options(monkeypatch):
    """A function that has the command line make a server, and returns the options that it gives to it."""

    def options(*arguments, **environment):
        made = []
        with monkeypatch.context() as patched:
            patched.setattr(cli, "DockerExecServer", lambda container, **options: made.append((container, options)))
            result = check(*arguments, **environment)
        assert result.exit_code == 0, result.stderr
        ((container, options),) = made
        return options | {"container": container}

    return options


def check(*arguments, **environment):
    """Run the command line in this process, without an environment but the given one."""
    environment = {name: None for name in os.environ if name.startswith("DOCKER")} | environment
    return CliRunner().invoke(cli.command, [*arguments, "--check-config"], env=environment, prog_name="dockerexec-ws")


def mistake(result):
    """The one line on stderr."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_every_option_is_in_exactly_one_table():
    keys = [key for table in TABLES.values() for key in table]
    parameters = [parameter.name for parameter in cli.command.params if isinstance(parameter, click.Option)]
    assert sorted([*keys, "config", "check_config", "version"]) == sorted(parameters)


def test_a_file_with_everything_gives_what_the_flags_would(options, write):
    """There is one meaning of a setting, wherever it comes from."""
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


def test_an_empty_list_of_commands_allows_none(options, write):
    """Not the default, which allows all."""
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
    # The engine has two names: what goes first takes the place of the other one, too.
    given = options(DOCKEREXEC_WS_DOCKER_SOCKET="/environment", **environment)
    assert (given["docker_host"], given["docker_socket"]) == (None, "/environment")
    given = options("--docker-socket", "/flag", **environment)
    assert (given["docker_host"], given["docker_socket"]) == (None, "/flag")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[acces]\n", "acces"),
        ("max_sessions = 1\n", "max_sessions"),
        ("server = 1\n", "server"),
        ("[[server]]\nport = 1\n", "server"),
        ("[server]\nprot = 1\n", "server.prot"),
        ("[server]\nconfig = 'x'\n", "server.config"),
        ("[server]\nmax_sessions = 1\n", "server.max_sessions"),  # it is in another table
        ("[server]\nPort = 1\n", "server.Port"),
        ("[server.port]\nx = 1\n", "server.port"),
        ("[server]\nport = '8080'\n", "server.port"),
        ("[server]\nport = true\n", "server.port"),
        ("[server]\nport = 80.0\n", "server.port"),
        ("[server]\nport = 70000\n", "server.port"),
        ("[server]\nport = [80]\n", "server.port"),
        ("[server]\nhost = 127001\n", "server.host"),
        ("[server]\nhost = 1979-05-27\n", "server.host"),
        ("[server]\nlog_level = 'loud'\n", "server.log_level"),
        ("[server]\nhandshake_timeout = 0\n", "server.handshake_timeout"),
        ('[server]\ncertfile = "a\\u0000b"\n', "server.certfile"),
        ("[engine]\nengine_timeout = true\n", "engine.engine_timeout"),
        ("[engine]\nengine_timeout = '30'\n", "engine.engine_timeout"),
        ("[containers]\nallow_container = 'web'\n", "containers.allow_container"),
        ("[containers]\nallow_container = [1]\n", "containers.allow_container"),
        ("[sessions]\nmax_sessions = 0\n", "sessions.max_sessions"),
        ("[sessions]\ncompress = 1\n", "sessions.compress"),
        ("[sessions]\ncompress = 'yes'\n", "sessions.compress"),
        ("[sessions]\ngrace = -0.1\n", "sessions.grace"),
        ("[sessions]\non_disconnect = 'stay'\n", "sessions.on_disconnect"),
        ('[sessions]\nwrapper_command = "\'"\n', "sessions.wrapper_command"),
        ("[sessions]\nwrapper_command = ['nice', 5]\n", "sessions.wrapper_command"),
        ("[access]\nallow_origin = ''\n", "access.allow_origin"),
        ("[access]\ntoken_file = true\n", "access.token_file"),
        ("[requests]\nallow_command = 'ls'\n", "requests.allow_command"),
        ("[requests]\nallow_command = ['']\n", "requests.allow_command"),
        ("[requests]\nallow_command = [[]]\n", "requests.allow_command"),
        ("[requests]\nallow_command = [['ls', 1]]\n", "requests.allow_command"),
        ("[requests]\nallow_command = [[['ls']]]\n", "requests.allow_command"),
    ],
)
def test_a_mistake_is_one_line_with_the_full_key(write, text, key):
    path = write(text)
    line = mistake(check("--config", path, "--container", "c"))
    assert f"{path}: {key}: " in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_sessions = 1\n", "max_sessions: this key is outside of its table. Write it below [sessions]."),
        (
            "maximum = 1\n",
            "maximum: this key is outside of every table, and no such key exists. The tables are server,",
        ),
        (
            "[server]\nmax_sessions = 1\n",
            "server.max_sessions: this key is in the wrong table. Write it below [sessions].",
        ),
        ("[server]\nprot = 1\n", "server.prot: no such key exists. Use one of host, port,"),
        ("[acces]\n", "acces: no such table exists. Use one of server,"),
        ("server = 1\n", "server: this is a table. Write [server] and its keys below."),
    ],
)
def test_a_key_or_table_in_the_wrong_place_is_told_the_right_one(write, text, told):
    assert told in mistake(check("--config", write(text), "--container", "c"))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("[server]\ncertfile = 'c'\n", ["server.certfile", "keyfile"]),
        ("[server]\nkeyfile = 'c'\n", ["certfile", "server.keyfile"]),
        ("[server]\nclient_ca = 'c'\n", ["server.client_ca", "certfile"]),
        ("[access]\njwt_key_file = 'k'\n", ["access.jwt_key_file", "jwt_issuer", "jwt_audience"]),
        (
            "[access]\njwt_issuer = 'i'\njwt_audience = 'a'\n",
            ["jwt_key_file", "access.jwt_issuer", "access.jwt_audience"],
        ),
        ("[access]\nidentity_header = 'X-User'\n", ["access.identity_header", "trusted_proxy"]),
        ("[access]\ntrusted_proxy = ['10.0.0.1/8']\n", ["10.0.0.1/8", "trusted prox"]),
        ("[containers]\nallow_container = ['x']\n", ["container", "containers.allow_container"]),
        (
            "[engine]\ndocker_host = 'unix:///x'\ndocker_socket = '/x'\n",
            ["engine.docker_host", "engine.docker_socket", "not both"],
        ),
        ("[audit]\naudit_optional = true\n", ["audit.audit_optional", "audit_log"]),
        ("[sessions]\ngrace = nan\n", ["sessions.grace"]),
        ("[server]\nhost = '0.0.0.0'\n", ["--token-file", "--allow-unauthenticated"]),
        ("[access]\ntoken_file = '/nonexistent'\n", ["token file /nonexistent", "No such file"]),
        ("[server]\ncertfile = '/nonexistent'\nkeyfile = '/nonexistent'\n", ["certfile", "No such file"]),
    ],
)
def test_what_does_not_go_together(write, text, keys):
    line = mistake(check("--config", write(text), "--container", "c"))
    for key in keys:
        assert key in line


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"[server]\nport = \n", "line 2"),
        (b"[server]\n\nport = 1\nport = 2\n", "line 4"),
        (b"[server\n", "line 1"),
        (b"[server]\nhost = '\xff'\n", "not TOML"),
    ],
)
def test_what_is_no_toml(tmp_path, content, place):
    (tmp_path / "policy.toml").write_bytes(content)
    line = mistake(check("--config", str(tmp_path / "policy.toml"), "--container", "c"))
    assert place in line
    assert "policy.toml" in line


def test_a_missing_file(tmp_path):
    line = mistake(check("--config", str(tmp_path / "nosuch"), "--container", "c"))
    assert "nosuch" in line
    assert "No such file" in line
    assert check("--config", str(tmp_path), "--container", "c").exit_code == 2  # a directory


def test_a_locale_changes_nothing(write):
    """TOML is UTF-8."""
    file = write("[containers]\ncontainer = 'c'\n[server]\npath = 'é'\nport = 'x'\n")
    result = run("--config", file, LC_ALL="en_US.ISO-8859-1", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert result.returncode == 1
    assert "server.port" in result.stderr


# As a user runs it


def test_check_config_only_checks(write, tmp_path):
    """It needs no engine, and leaves nothing: it can run where the file is written."""
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
        stdout, stderr = process.communicate(timeout=5)
    assert (stdout, stderr) == ("", "")
