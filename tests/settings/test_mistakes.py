"""Each mistake in the policy file gives one line that says where it is."""

import pytest

from tests.settings.checking import check
from tests.settings.command import run


def mistake(result):
    """Return the one line on stderr."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[acces]\n", "acces"),
        ("max_sessions = 1\n", "max_sessions"),
        ("server = 1\n", "server"),
        ("[[server]]\nport = 1\n", "server"),
        ("[server]\nprot = 1\n", "server.prot"),
        ("[server]\nconfig = 'x'\n", "server.config"),
        ("[server]\nmax_sessions = 1\n", "server.max_sessions"),  # the key belongs to another table
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
