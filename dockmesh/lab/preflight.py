"""Requirements of the lab on the machine that runs it."""

import os
import sys
from pathlib import Path

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.requirements import missing

# All hosts share the limits of one kernel. Each host's systemd needs inotify instances. Neighbour entries count over
# all namespaces, and each of 100 hosts has 99.
_MINIMUM_SYSCTLS = {
    "fs.inotify.max_user_instances": 8192,
    "net.ipv4.neigh.default.gc_thresh3": 65536,
    "net.ipv4.neigh.default.gc_thresh2": 32768,
    "net.ipv6.neigh.default.gc_thresh3": 65536,
    "net.ipv6.neigh.default.gc_thresh2": 32768,
}


def check() -> None:
    """Raise LabError, with the remedy, unless a lab can run here."""
    if sys.platform != "linux":
        raise LabError(
            "the lab needs Linux, because its hosts use network namespaces and control groups", code=LabCode.NEEDS_LINUX
        )
    if os.geteuid() != 0:
        raise LabError("the lab needs root. Fix: sudo dockmesh lab …", code=LabCode.NEEDS_ROOT)
    if packages := missing():
        raise LabError(
            f"the lab needs programs that are not installed. Fix: apt-get install {' '.join(packages)}",
            code=LabCode.MISSING_PROGRAMS,
        )


def make_room() -> str | None:
    """Raise the kernel limits that the largest lab needs; a description of the changes, or None."""
    changes = [change for key, minimum in _MINIMUM_SYSCTLS.items() if (change := _raise_sysctl(key, minimum))]
    return ", ".join(changes) or None


def _raise_sysctl(key: str, minimum: int) -> str | None:
    file = Path("/proc/sys", *key.split("."))
    before = int(file.read_text()) if file.exists() else minimum
    if before >= minimum:
        return None
    file.write_text(str(minimum))
    return f"{key} raised from {before} to {minimum}"
