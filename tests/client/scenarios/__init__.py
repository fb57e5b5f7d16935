"""Scenarios for the client that have to work both in a program patched by gevent and in one without gevent.

``python -m tests.client.scenarios NAME URL`` runs one in plain Python. Each scenario gets the URL of a server.
"""

from types import FunctionType

from tests.client.scenarios import leaving, redirecting, running, streams

SCENARIOS = {
    name: scenario
    for module in (running, streams, redirecting, leaving)
    for name, scenario in vars(module).items()
    if isinstance(scenario, FunctionType) and scenario.__module__ == module.__name__ and not name.startswith("_")
}
