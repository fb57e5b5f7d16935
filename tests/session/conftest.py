"""Fixtures: sessions that run with fakes."""

import gevent
import pytest

from tests.session.harness import Harness


@pytest.fixture
def make():
    """A function that makes a harness; no session is left running at the end."""
    made = []

    def make(**options):
        made.append(Harness(**options))
        return made[-1]

    yield make
    gevent.killall([harness.greenlet for harness in made if harness.greenlet is not None])
