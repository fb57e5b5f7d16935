"""Fixtures for the fault tests: servers in separate processes, and one engine that may be harmed."""

import contextlib
import random

import docker
import pytest

from tests.faults.census import ServerProcess
from tests.private_engine import private_engine


@pytest.fixture
def rng():
    return random.Random(20)


@pytest.fixture
def start(tmp_path, docker_host):
    """A function that starts a server for a container; the server is stopped cleanly at the end of the test."""
    with contextlib.ExitStack() as stack:

        def start(container, *options, engine=docker_host, log=None, **limits):
            options = options if "--max-sessions" in options else ("--max-sessions", 100, *options)
            log = log or tmp_path / f"log-{container}"
            return stack.enter_context(ServerProcess(container, engine, *options, log=log, **limits))

        yield start


@pytest.fixture
def server(start, own_container):
    return start(own_container)


@pytest.fixture(scope="session")
def session_engine():
    with private_engine() as engine:
        yield engine


@pytest.fixture
def harmed(session_engine):
    """A running private engine that a test may kill."""
    session_engine.up()
    return session_engine


@pytest.fixture
def harmed_api(harmed):
    api = docker.APIClient(harmed.address)
    yield api
    api.close()
