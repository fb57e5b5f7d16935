"""The container that this process runs in, if any."""

import re
from pathlib import Path

# The engine mounts /etc/hostname and similar files from its folder for the container. Its id is in the names of control
# groups.
_ID = re.compile(r"/(?:docker[/-]|libpod-|containers/|overlay-containers/)([0-9a-f]{64})\b")


def own_container_id(proc: Path = Path("/proc/self")) -> str | None:
    """Return the full id of the container that this process runs in. None if it runs in none, or cannot find out."""
    for name in ("mountinfo", "cgroup"):
        try:
            text = (proc / name).read_text()
        except OSError:
            continue
        for line in text.splitlines():
            # A process outside of containers may see their mounts, too, but not at these paths.
            if name == "mountinfo" and line.split()[4] not in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"):
                continue
            if match := _ID.search(line):
                return match[1]
    return None
