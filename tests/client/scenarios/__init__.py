"""What the client has to do, in a program that gevent has patched and in one that has never heard of it.

``python -m tests.client.scenarios NAME URL`` runs one in plain Python. Each gets the URL of a server.
"""

from types import FunctionType

from tests.client.scenarios import leaving, redirecting, running, streams

SCENARIOS = {
    name: scenario
    for module in (running, streams, redirecting, leaving)
    for name, scenario in vars(module).items()
    if isinstance(scenario, FunctionType) and scenario.__module__ == module.__name__ and not name.startswith("_")
}
