"""Fixtures: a server with TLS."""

import pytest

from tests.serve.tls import Files


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def tls_server(serve, files):
    return serve(**files.options)
