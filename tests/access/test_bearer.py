"""Tokens: their place in a request, in files, and signed."""

import base64
import hashlib
import os
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from dockerexec_ws.access.bearer import TOKEN_SUBPROTOCOL, bearer_token
from dockerexec_ws.access.policy import Narrowing
from dockerexec_ws.access.signed_tokens import SignedTokens, narrowing_of
from dockerexec_ws.access.token_file import TokenFile, new_token
from dockerexec_ws.errors import SettingsError

SECRET = "a secret of at least thirty-two bytes"


def header(token):
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def subprotocol(token):
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return {"HTTP_SEC_WEBSOCKET_PROTOCOL": f"dockerexec-ws, {TOKEN_SUBPROTOCOL}{encoded}"}


@pytest.mark.parametrize(
    ("environ", "token"),
    [
        ({}, None),
        (header("abc"), "abc"),
        ({"HTTP_AUTHORIZATION": "bearer  abc "}, "abc"),
        ({"HTTP_AUTHORIZATION": "Basic abc"}, None),
        (subprotocol("ab/+=~é"), "ab/+=~é"),
        (header("abc") | subprotocol("abc"), "abc"),
        (header("abc") | subprotocol("abd"), None),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "dockerexec-ws"}, None),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": f"{TOKEN_SUBPROTOCOL}!"}, None),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": f"{TOKEN_SUBPROTOCOL}_w"}, None),  # not UTF-8
        ({"QUERY_STRING": "token=abc&access_token=abc"}, None),
    ],
)
def test_where_a_token_is(environ, token):
    assert bearer_token(environ) == token


def test_a_new_token_and_its_line(tmp_path):
    token, line = new_token("alice")
    assert line == f"alice:{hashlib.sha256(token.encode()).hexdigest()}"
    (tmp_path / "tokens").write_text(f"# who may\n\n{line}\n{new_token('bob')[1]}\n")
    tokens = TokenFile(tmp_path / "tokens")
    assert tokens(header(token)).name == "alice"
    assert tokens(subprotocol(token)).name == "alice"
    assert tokens(header(token + "x")) is None
    assert tokens({}) is None


@pytest.mark.parametrize("identity", ["", "a:b", " a"])
def test_what_is_no_identity(identity):
    with pytest.raises(SettingsError):
        new_token(identity)


def test_a_changed_file_is_read_again(tmp_path, caplog):
    path = tmp_path / "tokens"
    (alice, line), (bob, other) = new_token("alice"), new_token("bob")
    path.write_text(line)
    tokens = TokenFile(path)
    path.write_text(f"{other}\nnonsense\n")
    assert tokens(header(alice)) is None
    assert tokens(header(bob)).name == "bob"
    assert "line 2 is not IDENTITY:SHA256HEX" in caplog.text
    path.unlink()
    assert tokens(header(bob)) is None
    assert "lets nobody in" in caplog.text
    path.write_text(line)
    assert tokens(header(alice)).name == "alice"
    assert alice not in caplog.text


@pytest.mark.parametrize("content", [None, "alice", "alice:abc", f":{'0' * 64}", f"alice:{'G' * 64}"])
def test_a_file_that_is_wrong_from_the_beginning(tmp_path, content):
    if content is not None:
        (tmp_path / "tokens").write_text(content)
    with pytest.raises(SettingsError, match="token file"):
        TokenFile(tmp_path / "tokens")


def claims(**changes):
    return {"iss": "issuer", "aud": "us", "sub": "alice", "exp": time.time() + 60} | changes


def signed(tmp_path, key=SECRET):
    (tmp_path / "key").write_bytes(key if isinstance(key, bytes) else key.encode())
    return SignedTokens(tmp_path / "key", issuer="issuer", audience="us")


def test_a_signed_token(tmp_path):
    narrow = {"container": "web-*", "command": ["ls", "-l"], "user": "nobody", "tty": False, "deadline": 99}
    token = jwt.encode(claims(dockerexec_ws=narrow), SECRET, "HS256")
    identity = signed(tmp_path)(header(token))
    assert identity.name == "alice"
    assert identity.narrowing == Narrowing(
        containers=("web-*",), command=("ls", "-l"), user="nobody", tty=False, deadline=99.0
    )


def test_files_with_a_byte_order_mark(tmp_path):
    token, line = new_token("alice")
    (tmp_path / "tokens").write_text(f"{line}\n", encoding="utf-8-sig")
    assert TokenFile(tmp_path / "tokens")(header(token)).name == "alice"
    tokens = signed(tmp_path, SECRET.encode("utf-8-sig"))
    assert tokens(header(jwt.encode(claims(), SECRET, "HS256"))).name == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "others"},
        {"exp": 0},
        {"exp": None},
        {"sub": ""},
        {"sub": None},
        {"nbf": 2**40},
        {"dockerexec_ws": "all"},
        {"dockerexec_ws": {"containers": ["x"]}},
        {"dockerexec_ws": {"user": 0}},
        {"dockerexec_ws": {"user": ""}},
        {"dockerexec_ws": {"tty": "false"}},
        {"dockerexec_ws": {"command": "ls"}},
        {"dockerexec_ws": {"command": []}},
        {"dockerexec_ws": {"container": [1]}},
        {"dockerexec_ws": {"deadline": "soon"}},
    ],
)
def test_a_signed_token_that_is_not_taken(tmp_path, changes):
    token = jwt.encode({k: v for k, v in claims(**changes).items() if v is not None}, SECRET, "HS256")
    assert signed(tmp_path)(header(token)) is None


def test_what_was_signed_by_others_or_by_nobody(tmp_path):
    tokens = signed(tmp_path)
    assert tokens(header(jwt.encode(claims(), SECRET + "x", "HS256"))) is None
    assert tokens(header(jwt.encode(claims(), None, "none"))) is None
    assert tokens(header("a.b.c")) is None
    assert tokens({}) is None


KEYS = [
    (lambda: rsa.generate_private_key(65537, 2048), "RS256"),
    (lambda: ec.generate_private_key(ec.SECP256R1()), "ES256"),
    (ed25519.Ed25519PrivateKey.generate, "EdDSA"),
]


@pytest.mark.parametrize(("make", "algorithm"), KEYS)
def test_public_keys_and_their_algorithms_only(tmp_path, make, algorithm):
    key = make()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    tokens = signed(tmp_path, public)
    assert tokens(header(jwt.encode(claims(), key, algorithm))).name == "alice"
    # The public key must not serve as a shared secret, with which anybody could sign.
    forged = jwt.api_jws.PyJWS().encode(b"{}", "x" * 64, "HS256").split(".")[0]
    assert tokens(header(f"{forged}.e30.AAAA")) is None


@pytest.mark.parametrize("key", [b"short", b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n", None])
def test_a_key_file_that_is_wrong(tmp_path, key):
    if key is not None:
        (tmp_path / "key").write_bytes(key)
    with pytest.raises(SettingsError, match="key file"):
        SignedTokens(tmp_path / "key", issuer="i", audience="a")


def test_a_key_that_signs_nothing(tmp_path):
    public = x25519.X25519PrivateKey.generate().public_key()
    with pytest.raises(SettingsError, match="cannot sign tokens"):
        signed(tmp_path, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_a_private_key_is_not_taken_for_a_secret(tmp_path):
    private = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(SettingsError, match="no public key"):
        signed(tmp_path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_a_narrowing_is_understood_whole_or_not_at_all():
    assert narrowing_of({}) == Narrowing()
    assert narrowing_of({"container": ["a", "b"]}).containers == ("a", "b")
    with pytest.raises(ValueError, match="unknown"):
        narrowing_of({"containr": "a"})


def test_no_secret_is_logged(tmp_path, caplog):
    caplog.set_level("DEBUG")
    token = os.urandom(16).hex()
    signed(tmp_path)(header(token))
    assert token not in caplog.text
