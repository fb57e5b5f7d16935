"""Host pids of processes: which ones the server may trust."""

import subprocess

from dockerexec_ws.engine.docker import ContainerState
from dockerexec_ws.engine.instance import Instance
from dockerexec_ws.engine.kill import host as host_processes_module
from dockerexec_ws.engine.kill.host import HostProcesses
from dockerexec_ws.engine.kill.killer import Killer
from dockerexec_ws.engine.kill.timeouts import Waits
from tests.conftest import wait_until


def test_what_gets_the_number_of_an_ended_first_process_is_not_taken_for_it(engine, start, container, monkeypatch):
    """The pid that the engine reports for an exec may be out of date."""
    bystander = start(container, "echo up; exec sleep 555")
    bystander.up()
    pid = wait_until(lambda: bystander.process.state().pid)
    state = engine.container_state(container)
    host = HostProcesses(state)
    host._roots = {(pid, 0)}  # as if another process had had this pid
    assert host._look({"A=b": b"\0A=b"}) == {}
    (found,) = HostProcesses(state)._look({"": b"\0" + bystander.marker.encode()})
    assert found == pid
    assert bystander.end(Killer(engine, Waits(grace=0.5)))


def test_without_a_container_the_engines_numbers_are_not_trusted():
    """The engine may be on another machine, and this machine may have given the number to another process."""
    marker = Instance.unregistered().new_marker()
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as bystander:
        try:
            host = HostProcesses.of(ContainerState(id="c0ffee"))
            assert host.end([marker], lambda _: [bystander.pid], grace=0.2, patience=0.2) == (0, set())
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_a_server_within_the_container_cannot_know_the_engines_numbers(engine, container, monkeypatch):
    state = engine.container_state(container)
    assert HostProcesses.of(state) is not None
    own = host_processes_module._read_file("self", "cgroup")
    read_file = host_processes_module._read_file
    monkeypatch.setattr(
        host_processes_module,
        "_read_file",
        lambda pid, name: own + state.id.encode() if pid == "self" else read_file(pid, name),
    )
    assert HostProcesses.of(state) is None
