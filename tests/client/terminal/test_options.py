"""The options of the terminal client: the command's user, tokens, headers, TLS."""

import pytest
import trustme

from dockerexec_ws.access.token_file import new_token
from tests.client.terminal.commands import OWN_FAILURE, one_line, run


def test_user_environment_and_folder(serve):
    url = serve(allow_user=["user"], allow_env=["*"], allow_workdir=["/tmp"]).url
    words = ["-u", "user", "-e", "A=1=2", "--env", "HERE", "-e", "NOT_HERE", "-w", "/tmp"]
    done = run(url, *words, "--", "sh", "-c", "id -un; pwd; echo $A $HERE ${NOT_HERE-unset}", env={"HERE": "yes"})
    assert (done.stdout, done.stderr) == (b"user\n/tmp\n1=2 yes unset\n", b"")


@pytest.fixture
def guarded(serve, tmp_path):
    """A server that requires a token, and the token."""
    token, line = new_token("somebody")
    (tmp_path / "tokens").write_text(f"{line}\n")
    return serve(token_file=tmp_path / "tokens"), token


def test_a_token_of_a_file_goes_before_that_of_the_environment(guarded, tmp_path):
    server, token = guarded
    (tmp_path / "token").write_text(f"{token}\n")
    done = run(server.url, "--token-file", tmp_path / "token", "true", env={"DOCKEREXEC_WS_TOKEN": "wrong"})
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_token_file_with_a_byte_order_mark(guarded, tmp_path):
    server, token = guarded
    (tmp_path / "token").write_text(f"{token}\r\n", encoding="utf-8-sig")
    done = run(server.url, "--token-file", tmp_path / "token", "true")
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_token_of_the_environment(guarded):
    server, token = guarded
    done = run(server.url, "true", env={"DOCKEREXEC_WS_TOKEN": token})
    assert (done.stderr, done.returncode) == (b"", 0)


def test_a_header(guarded):
    server, token = guarded
    done = run("--header", f"Authorization: Bearer {token}", server.url, "true")
    assert (done.stderr, done.returncode) == (b"", 0)


def test_no_token(guarded):
    done = run(guarded[0].url, "true")
    assert one_line(done.stderr)
    assert done.returncode == OWN_FAILURE


@pytest.mark.parametrize(
    ("url", "warned"), [("ws://10.255.255.1/", True), ("wss://10.255.255.1/", False), ("ws://localhost:1/", False)]
)
def test_a_token_in_the_clear_is_warned_of(url, warned):
    done = run(url, "--open-timeout", "0.2", "true", env={"DOCKEREXEC_WS_TOKEN": "x"})
    lines = done.stderr.splitlines(keepends=True)
    assert len(lines) == 1 + warned
    assert (b"warning: the token and all other data go to 10.255.255.1 in the clear" in lines[0]) is warned
    assert done.returncode == OWN_FAILURE


def test_tls(serve, tmp_path):
    authority = trustme.CA()
    ours, theirs = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.org")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    theirs.private_key_pem.write_to_path(tmp_path / "key.pem")
    theirs.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = dict.fromkeys(("certfile", "keyfile"), str(tmp_path / "server.pem"))
    url = serve(client_ca=str(tmp_path / "ca.pem"), **files).url
    assert url.startswith("wss://")
    words = ["--certfile", tmp_path / "cert.pem", "--keyfile", tmp_path / "key.pem"]
    done = run(url, "--cafile", tmp_path / "ca.pem", *words, "echo", "hi")
    assert (done.stdout, done.stderr) == (b"hi\n", b"")
    done = run(url, *words, "echo", "hi")
    assert "certificate" in one_line(done.stderr)
    assert done.returncode == OWN_FAILURE
