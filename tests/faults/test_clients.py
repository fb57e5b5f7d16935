"""Clients that are cut off, singly and in numbers under load, and connections that never become sessions."""

import pytest

from tests.faults import scenarios
from tests.faults.bystander import Bystander
from tests.faults.census import nothing_left
from tests.peer import Peer


@pytest.mark.parametrize("stage", scenarios.CUTS)
def test_cut_at_a_stage(server, docker_api, rng, stage):
    with nothing_left(server, docker_api), Bystander(server.url):
        for way in scenarios.WAYS:
            for _ in range(3):
                scenarios.CUTS[stage](server, rng, way)


def test_200_random_cuts_under_load(server, docker_api, rng):
    streams = [["cat", "/dev/zero"], ["yes"], ["yes", "line"]]
    with nothing_left(server, docker_api), Bystander(server.url), scenarios.load(server, *streams):
        scenarios.random_cuts(server, rng, 200)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_garbage(server, docker_api, rng, count):
    with nothing_left(server, docker_api), Bystander(server.url):
        scenarios.garbage(server, rng, count)


def test_a_slowloris_of_200(start, own_container, docker_api):
    server = start(own_container, "--handshake-timeout", 2)
    with nothing_left(server, docker_api), Bystander(server.url):
        for _ in scenarios.slowloris(server, 200):
            # New clients are still served.
            assert Peer(server.url, "echo", "it works").transcript().stdout == b"it works\n"
