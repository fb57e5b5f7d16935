"""Fixtures: sessions that run on fakes."""

import gevent
import pytest

from tests.session.harness import Harness


@pytest.fixture
def make():
    """A function that makes a harness; sessions that still run are ended after the test."""
    made = []

    def make(**options):
        made.append(Harness(**options))
        return made[-1]

    yield make
    gevent.killall([harness.greenlet for harness in made if harness.greenlet is not None])
