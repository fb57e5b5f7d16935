"""Find the container that a process runs in, by what /proc says in containers of several kinds."""

import pytest

from dockerexec_ws.engine.own_container import own_container_id

ID = "0123456789abcdef" * 4
MOUNT = "735 714 254:0 {root} {point} rw,relatime - ext4 /dev/vda rw"


@pytest.mark.parametrize(
    ("mountinfo", "cgroup", "expected"),
    [
        (MOUNT.format(root=f"/var/lib/docker/containers/{ID}/hostname", point="/etc/hostname"), "0::/", ID),
        (MOUNT.format(root=f"/data/containers/{ID}/resolv.conf", point="/etc/resolv.conf"), "0::/", ID),
        (MOUNT.format(root=f"/containers/overlay-containers/{ID}/userdata/hosts", point="/etc/hosts"), "0::/", ID),
        ("", f"12:cpu:/docker/{ID}\n", ID),
        ("", f"0::/system.slice/docker-{ID}.scope\n", ID),
        # The engine's host sees the mounts of its containers.
        (MOUNT.format(root=f"/var/lib/docker/containers/{ID}/mounts/shm", point="/x/shm"), "0::/user.slice", None),
        ("", "0::/", None),
    ],
)
def test_own_container(tmp_path, mountinfo, cgroup, expected):
    (tmp_path / "mountinfo").write_text(mountinfo)
    (tmp_path / "cgroup").write_text(cgroup)
    assert own_container_id(tmp_path) == expected


def test_without_proc(tmp_path):
    assert own_container_id(tmp_path) is None
