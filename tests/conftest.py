"""Fixtures: a real engine, containers for the tests, servers; and hooks by which a hanging test shows where."""

from gevent import monkey

monkey.patch_all()

import contextlib
import fcntl
import gc
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings

import docker
import gevent
import pytest
from gevent.util import print_run_info

from dockerexec_ws import DockerExecServer
from tests.peer import Peer

TESTS = pathlib.Path(__file__).parent
ROOT = TESTS.parent
IMAGE = "dockerexec-ws-demo:1"
LABEL = "dockerexec-ws.test"
# The limit of every wait in a test; slow machines scale it.
TIMEOUT = 60 * float(os.environ.get("DOCKEREXEC_WS_TEST_TIME_SCALE", "1"))
needs_page = pytest.mark.skipif(
    not (ROOT / "dockerexec_ws/page/vendor").is_dir(), reason="the page is not built: install Node.js with npm"
)
CABLE_LOCK = pathlib.Path(tempfile.gettempdir()) / "dockerexec-ws-test-cable.lock"
IN_CI = os.environ.get("CI") == "true"


# In the background and under nohup these signals are ignored, and every program that a test starts inherits that.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


if "PYTEST_XDIST_WORKER" in os.environ:
    # In a worker of pytest-xdist the main greenlet waits for the next test from a native thread. gevent takes a loop
    # without any handle for a deadlock, so give the loop a timer.
    _awake = gevent.get_hub().loop.timer(1, repeat=1)
    _awake.start(lambda: None)


class HangingTestError(BaseException):
    """A test did not end in time. The base is BaseException, so that no `except Exception` catches this."""


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="also what takes long: streams of 1 GB")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.path.is_relative_to(TESTS / "bench"):
            item.add_marker("alone")
        elif "alone" not in item.keywords and (
            item.path.is_relative_to(TESTS / "faults") or "cable" in item.fixturenames
        ):
            # A new network interface makes Chromium abort its requests (net::ERR_NETWORK_CHANGED).
            item.add_marker("heavy")
    if not config.getoption("--all"):
        kept = [item for item in items if "slow" not in item.keywords]
        config.hook.pytest_deselected(items=[item for item in items if "slow" in item.keywords])
        items[:] = kept


def pytest_sessionfinish():
    """docker-py leaks the unix socket if connect() fails. Collect the last ones without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    limit = TIMEOUT * (10 if "slow" in item.keywords else 1)
    with gevent.Timeout(limit, HangingTestError(f"{item.nodeid} did not end within {limit:.0f} s")):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(HangingTestError):
        print_run_info(file=sys.stderr)
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure with CI=true: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _state_dir(tmp_path, monkeypatch):
    """Keep the state of the tests' servers apart from that of other servers on this machine."""
    monkeypatch.setattr("dockerexec_ws.web.backend.default_state_dir", lambda: tmp_path / "state")
    monkeypatch.setenv("DOCKEREXEC_WS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def docker_host():
    """The address of a real engine."""
    address = os.environ.get("DOCKER_HOST")
    if not address:
        address = subprocess.run(
            [ROOT / "bin/engine", "up"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
        os.environ["DOCKER_HOST"] = address
    return address


@pytest.fixture(scope="session")
def docker_api(docker_host):
    api = docker.APIClient(docker_host)
    yield api
    api.close()


@contextlib.contextmanager
def running_container(api, *, image=IMAGE, **options):
    """A container with a unique name, by default of the demo image; it is removed at the end."""
    name = f"dockerexec-ws-test-{secrets.token_hex(4)}"
    labels = {LABEL: "1"} | options.pop("labels", {})
    host_config = api.create_host_config(network_mode="none", **options.pop("host_config", {}))
    api.create_container(image, name=name, labels=labels, host_config=host_config, **options)
    try:
        api.start(name)
        yield name
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            if api.inspect_container(name)["State"]["Paused"]:
                api.unpause(name)  # otherwise its removal would hang
            api.remove_container(name, force=True)


@pytest.fixture(scope="session")
def shared_container(docker_api):
    with running_container(docker_api) as name:
        yield name


@pytest.fixture
def container(shared_container, docker_api):
    """A running container; the test must leave no process in it."""
    yield shared_container
    # The script that ends others has reported, and is about to exit.
    wait_until(lambda: processes(docker_api, shared_container) == [])


@pytest.fixture
def own_container(docker_api):
    """A running container that the test may stop, pause or remove."""
    with running_container(docker_api) as name:
        yield name


def uncovered(environment=os.environ):
    """An environment without coverage, which would double the time that a server takes to start.

    Use it for programs that are not under test themselves.
    """
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE")}


def processes(api, container):
    """The command lines of the container's processes, without zombies and its own two (a shell that sleeps)."""
    top = api.top(container, "axo pid,stat,args")
    return [args for _, stat, args in top["Processes"] if stat[0] != "Z" and "sleep 3600" not in args]


def wait_until(condition, timeout=10.0):
    """Wait until *condition* returns something true, and return that."""
    with gevent.Timeout(timeout * TIMEOUT / 60, AssertionError(f"not within {timeout} s: {condition}")):
        while not (result := condition()):
            gevent.sleep(0.02)
        return result


@pytest.fixture(autouse=True)
def _close_peers():
    yield
    while Peer.made:
        Peer.made.pop().socket.close()


@pytest.fixture
def serve(container, docker_host):
    """A function that starts a server for the container, in this process; all servers are closed at the end."""
    with contextlib.ExitStack() as stack:

        def start(container_id=container, **options):
            options = {"port": 0, "path": "x", "docker_host": docker_host} | options
            return stack.enter_context(DockerExecServer(container_id, **options))

        yield start


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def cable():
    """The name of a network namespace. Its end of a cable has the address 10.231.7.2, the other end 10.231.7.1."""
    if os.getuid() != 0:
        pytest.skip("making a network namespace needs root")
    if not shutil.which("ip"):
        pytest.skip("there is no ip: install iproute2")
    name = f"dew{secrets.token_hex(3)}"
    # The addresses are fixed, so the machine can have only one cable at a time.
    with CABLE_LOCK.open("w") as lock:
        wait_until(lambda: _locked(lock), timeout=40)
        with _plugged_in(name):
            yield name


def _locked(file):
    """Lock *file* unless another process has locked it; return whether this succeeded."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _plugged_in(name):
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1", "netns", name)
        ip("addr", "add", "10.231.7.1/30", "dev", f"{name}0")
        ip("link", "set", f"{name}0", "up")
        ip("-n", name, "addr", "add", "10.231.7.2/30", "dev", f"{name}1")
        ip("-n", name, "link", "set", f"{name}1", "up")
        yield
        ip("link", "del", f"{name}0")  # at once: with the namespace it would go some time later
    finally:
        ip("netns", "del", name)
