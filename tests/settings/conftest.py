"""Fixtures: a policy file."""

import pytest


@pytest.fixture
def write(tmp_path):
    """A function that writes a policy file and returns its path."""

    def write(text):
        path = tmp_path / "policy.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
