"""bin/engine, with a private engine: what the script makes, repairs, ends and leaves alone."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from tests.conftest import IMAGE, wait_until
from tests.private_engine import NAME, SCRIPT, command_lines, private_engine

LABEL = "dockerexec-ws.demo"
# Addresses at which there is no unix socket and no TCP port.
NOWHERE = ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1"]


def firewall():
    """The machine's firewall rules, forwarding, and whether there is Docker's bridge."""
    parts = [pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text(), os.path.exists("/sys/class/net/docker0")]
    with contextlib.suppress(FileNotFoundError):
        parts.append(pathlib.Path("/proc/net/ip_tables_names").read_text())
    for command in [["iptables-save"], ["iptables-legacy-save"], ["nft", "list", "ruleset"]]:
        if shutil.which(command[0]):
            rules = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
            parts.append(re.sub(r"^#.*|\[\d+:\d+\]", "", rules, flags=re.MULTILINE))  # no date, no counters
    return parts


def script(*words, environment, path=SCRIPT, **options):
    """Run bin/engine without a private engine."""
    kept = {name: value for name, value in os.environ.items() if name != "DOCKEREXEC_WS_ENGINE_HOME"}
    return subprocess.run(
        [path, *words], env=kept | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=45
    )


@pytest.fixture(scope="module")
def module_engine():
    with private_engine() as engine:
        engine.firewall_before = firewall()
        engine.said_at_first = engine.up()
        yield engine


@pytest.fixture
def engine(module_engine):
    """A private engine with the demo container, both running; the test may damage them."""
    module_engine.up()
    return module_engine


def test_it_says_what_it_is_about_to_do(engine):
    said = engine.said_at_first
    assert re.search(f"^engine: starting a private Docker Engine .*{engine.folder}", said, re.MULTILINE)
    assert f"making the image {IMAGE}" in said


def test_a_second_up_changes_nothing_and_is_quick(engine):
    def state():
        return engine.docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", NAME), engine.processes()

    before = state()
    start = time.monotonic()
    assert engine.up() == ""
    assert time.monotonic() - start < 2.0  # 0.05 s on a quiet machine: `bin/serve` has 3 s for all it does
    assert state() == before


def test_the_firewall_is_left_alone(engine):
    assert firewall() == engine.firewall_before


def test_the_container_has_what_the_originals_tests_use(engine):
    assert engine.docker("exec", NAME, "/bin/bash", "-c", "printf 'a\\n\\nb' | cat -E") == "a$\n$\nb"
    assert engine.docker("exec", NAME, "bash", "-c", "printf 12345 | wc -c") == "5"
    assert "bin" in engine.docker("exec", NAME, "ls", "/").split()


def test_the_container_carries_the_label_and_has_no_network(engine):
    assert engine.docker("inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', NAME) == "container"
    assert engine.docker("inspect", "--format", "{{.HostConfig.NetworkMode}}", NAME) == "none"


def test_status_tells_what_runs(engine):
    status = engine.run("status")
    assert status.returncode == 0
    version = engine.docker("version", "--format", "{{.Server.Version}}")
    assert status.stdout.startswith(f"engine {version} at {engine.address}\ncontainer {NAME}: Up ")

    engine.docker("kill", NAME)
    status = engine.run("status")
    assert status.returncode == 1
    assert f"container {NAME}: Exited" in status.stdout

    engine.down()
    status = engine.run("status")
    assert (status.returncode, status.stdout) == (1, "no engine answers\n")


@pytest.mark.parametrize("labels", [[], [f"--label={LABEL}=somebody's"]])
def test_a_foreign_container_of_the_same_name_is_not_touched(engine, labels):
    engine.docker("rm", "--force", NAME)
    # A container of this project's image does not belong to this project for that reason.
    foreign = engine.docker("create", "--name", NAME, *labels, "--network=none", IMAGE, "true")
    try:
        done = engine.run("up")
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(
            f"engine: a container named {NAME} .* not of this project .*{engine.address}.*\n", done.stderr
        )
        assert engine.docker("inspect", "--format", "{{.Id}} {{.State.Status}}", NAME) == f"{foreign} created"
        # `down` leaves the foreign container alone, too.
        engine.down()
        assert engine.run("up").returncode == 1
        assert engine.docker("inspect", "--format", "{{.Id}}", NAME) == foreign
    finally:
        engine.docker("rm", "--force", foreign)


@pytest.mark.parametrize(
    "damage",
    [
        [["kill", NAME]],
        [["pause", NAME]],
        [["rm", "--force", NAME]],
        [["rm", "--force", NAME], ["rmi", IMAGE]],
        [["rmi", "--force", IMAGE]],  # removes only the image's name, because a container runs
        [["kill", NAME], ["rmi", "--force", IMAGE]],
        [["rm", "--force", NAME], ["create", "--name", NAME, f"--label={LABEL}=container", "--network=none", IMAGE]],
    ],
    ids=["stopped", "paused", "removed", "without image", "image untagged", "image removed", "never started"],
)
def test_up_repairs_the_container(engine, damage):
    for words in damage:
        engine.docker(*words)
    engine.up()
    assert engine.works()
    assert engine.docker("image", "inspect", "--format", "{{.Id}}", IMAGE)


@pytest.mark.parametrize("killed", [["dockerd "], ["dockerd ", "containerd "], ["dockerd ", "containerd ", "shim"]])
def test_up_repairs_a_killed_engine(engine, killed):
    daemon = engine.processes("dockerd ")
    engine.kill(*killed)
    wait_until(lambda: not engine.processes("dockerd "))
    assert (engine.folder / "dockerd.pid").exists()
    assert (engine.folder / "docker.sock").exists()
    engine.up()
    assert engine.works()
    assert not engine.processes("dockerd ") & daemon


def test_down_after_the_engine_was_killed_leaves_no_process(engine):
    engine.kill("dockerd ", "containerd ")
    wait_until(lambda: not engine.processes("dockerd "))
    assert engine.processes("shim")
    engine.down()
    assert engine.processes() == set()


def test_down_stops_everything(engine):
    assert engine.processes("dockerd ")
    assert engine.processes("containerd ")
    assert engine.processes("shim")
    engine.down()
    assert engine.processes() == set()
    assert not (engine.folder / "docker.sock").exists()
    assert firewall() == engine.firewall_before
    engine.down()  # having nothing to do is no error


def is_being_run(engine):
    return any(f"-H {engine.address} run " in line for line in command_lines().values())


@pytest.mark.parametrize(
    "moment",
    [
        lambda engine: engine.processes("dockerd "),
        lambda engine: (engine.folder / "dockerd.pid").exists(),
        lambda engine: (engine.folder / "docker.sock").exists(),
        lambda engine: "making the image" in (engine.folder / "stderr").read_text(),
        is_being_run,
    ],
    ids=["daemon started", "pid file", "socket", "image", "container"],
)
def test_up_killed_half_way(engine, moment):
    engine.docker("rm", "--force", NAME)
    engine.docker("rmi", IMAGE)
    engine.down()
    with engine.running("up") as process:
        wait_until(lambda: moment(engine))
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    engine.up()
    assert engine.works()


def test_two_at_the_same_time(engine):
    engine.docker("rm", "--force", NAME)
    engine.docker("rmi", IMAGE)
    engine.down()
    with engine.running("up") as other:
        engine.up()
        assert engine.works()
        assert other.wait(timeout=30) == 0
    assert engine.works()


def test_a_stale_pid_file_may_name_somebody_elses_process(engine):
    engine.down()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            (engine.folder / "dockerd.pid").write_text(str(stranger.pid))
            engine.down()
            engine.up()
            assert engine.works()
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_folder_whose_path_is_too_long_for_a_socket(tmp_path):
    folder = tmp_path / ("x" * 100)
    done = script("up", environment={"DOCKEREXEC_WS_ENGINE_HOME": str(folder)})
    assert (done.returncode, done.stdout) == (1, "")
    assert "longer than the 107 bytes" in done.stderr


@pytest.mark.parametrize("address", NOWHERE)
def test_docker_host_that_leads_nowhere_is_an_error(address):
    def daemons():
        return {
            pid for pid, line in command_lines().items() if "dockerd " in line and "/var/lib/dockerexec-ws/" in line
        }

    before = daemons()
    done = script("up", environment={"DOCKER_HOST": address})
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"engine: no engine answers at DOCKER_HOST={address}: .+\n", done.stderr)
    assert script("status", environment={"DOCKER_HOST": address}).returncode == 1
    assert daemons() == before


def test_who_is_not_root_is_told_what_to_do():
    """The user may neither use the engine's socket nor install an engine."""
    folder = pathlib.Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        folder.chmod(0o755)
        copy = shutil.copy2(SCRIPT, folder)  # other users may be unable to read the checkout
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        environment = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
        environment["XDG_RUNTIME_DIR"] = str(folder)  # for the lock
        done = subprocess.run(
            [*prefix, copy, "up"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=45
        )
    finally:
        shutil.rmtree(folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch("engine: no Docker Engine answers: .*DOCKER_HOST.* as root .*\n", done.stderr)


@pytest.mark.parametrize("words", [[], ["nonsense"], ["--help"]])
def test_wrong_usage(words):
    done = script(*words, environment={})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bin/engine up|status|down")
