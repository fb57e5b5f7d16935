"""Fixtures for the tests of the application."""

import jwt
import pytest

SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture
def signed(tmp_path):
    """Options for signed tokens, and a function that makes the header of a token with the given claim."""
    (tmp_path / "key").write_text(SECRET)
    options = {"jwt_key_file": tmp_path / "key", "jwt_issuer": "ci", "jwt_audience": "shell"}

    def header(**claim):
        claims = {"iss": "ci", "aud": "shell", "sub": "bob", "exp": 4_000_000_000, "dockerexec_ws": claim}
        return f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"

    return options, header
