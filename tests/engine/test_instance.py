"""The files by which servers know of each other, and what happens to the file of a killed server."""

import contextlib
import os
import subprocess
import sys

import pytest

from dockerexec_ws.engine.instance import Instance, default_state_dir
from dockerexec_ws.errors import SettingsError

ENGINE = "unix:///engine"
HOLDS = """
import sys
from pathlib import Path
from dockerexec_ws.engine.instance import Instance
instance = Instance.register(Path(sys.argv[1]), sys.argv[2], ("c", "c0ffee"))
print(instance.new_marker(), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def another_server(state_dir, engine=ENGINE):
    """A process that has registered; yields the marker of one of its sessions."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, state_dir, engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def former(state_dir, engine=ENGINE):
    return list(Instance.former(state_dir, engine))


def test_a_living_server_is_left_alone_and_a_killed_one_is_taken_over(tmp_path):
    with another_server(tmp_path) as marker:
        assert former(tmp_path) == []
    (dead,) = former(tmp_path)
    assert marker.startswith(dead.marker)
    assert dead.containers == ("c", "c0ffee")
    # Only one server takes it over.
    assert former(tmp_path) == []
    dead.close(done=True)
    assert former(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_ended_is_there_for_the_next(tmp_path):
    with another_server(tmp_path):
        pass
    for _ in range(2):
        (dead,) = former(tmp_path)
        dead.close(done=False)
        dead.close(done=True)  # too late
    assert len(former(tmp_path)) == 1


def test_an_orderly_end_leaves_nothing(tmp_path):
    instance = Instance.register(tmp_path, ENGINE, ("c",))
    assert former(tmp_path) == []  # also in the same process
    instance.close(done=True)
    assert list(tmp_path.iterdir()) == []


def test_another_engines_instances_are_left_alone(tmp_path):
    with another_server(tmp_path, "tcp://elsewhere:1") as marker:
        pass
    assert former(tmp_path) == []
    (dead,) = former(tmp_path, "tcp://elsewhere:1")
    assert marker.startswith(dead.marker)
    dead.close(done=True)


def test_what_is_no_instances_file_is_left_alone(tmp_path, caplog):
    (tmp_path / "notes").write_text(ENGINE)
    (tmp_path / "empty.instance").touch()
    (tmp_path / "folder.instance").mkdir()
    assert former(tmp_path) == []
    assert "folder.instance cannot be read" in caplog.text
    assert len(list(tmp_path.iterdir())) == 3


def test_the_directory_is_made_for_this_user_only(tmp_path):
    Instance.register(tmp_path / "a" / "b", ENGINE, ("c",)).close(done=True)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_used(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="--state-dir"):
        Instance.register(tmp_path / "file" / "b", ENGINE, ("c",))


def test_markers_differ_and_nothing_is_kept_of_an_unregistered_instance():
    instance = Instance.unregistered()
    assert len({instance.new_marker() for _ in range(100)}) == 100
    instance.close(done=True)


def test_the_default_directory(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(default_state_dir()) == "/var/lib/dockerexec-ws/instances"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert str(default_state_dir()) == "/state/dockerexec-ws/instances"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/user")
    assert str(default_state_dir()) == "/home/user/.local/state/dockerexec-ws/instances"


def test_any_number_of_containers_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # one sync a file would take minutes
    instance = Instance.register(tmp_path, ENGINE, ())
    names = tuple(f"{number:064x}" for number in range(1500))
    for name in names:
        instance.uses(name)
    instance.close(done=False)
    (dead,) = former(tmp_path)
    assert dead.containers == names
    dead.close(done=True)
