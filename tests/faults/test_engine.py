"""A server loses its engine or container: all clients are told, and nothing is left once it is back."""

import pytest

from tests.conftest import running_container
from tests.faults import harms
from tests.faults.bystander import Bystander
from tests.faults.census import RETRIED, nothing_left
from tests.private_engine import NAME


def test_the_engine_is_killed_under_50_sessions(start, harmed, harmed_api):
    server = start(NAME, engine=harmed.address)
    with nothing_left(server, harmed_api, timeout=RETRIED):
        harms.engine_killed(server, harmed, 50)


def test_the_engine_hangs(start, harmed, harmed_api):
    server = start(NAME, "--engine-timeout", 2, engine=harmed.address)
    # The bystander only has to keep going. The engine handles the requests of sessions that came in the meantime later,
    # when nobody waits for them any more: hence the unstarted execs.
    with (
        nothing_left(server, harmed_api, timeout=RETRIED, unstarted=3),
        Bystander(server.url, longest=30.0) as bystander,
    ):
        harms.engine_hangs(server, harmed, 10, timeout=2)
        assert bystander.longest_echo > 2


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_the_container_is_killed(start, docker_api, own_container, number):
    server = start(own_container)
    with (
        running_container(docker_api) as other,
        Bystander(start(other).url),
        nothing_left(server, docker_api),
    ):
        harms.container_killed(server, docker_api, 20, number)
