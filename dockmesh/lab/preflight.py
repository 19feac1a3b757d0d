"""What the lab asks of the machine it runs on."""

import os
import sys
from pathlib import Path

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.requirements import missing

# What many hosts take of the one kernel they have. Each host's systemd wants inotify instances; and neighbours, of whom
# each of a hundred hosts has ninety-nine, count over all namespaces.
_ENOUGH = {
    "fs.inotify.max_user_instances": 8192,
    "net.ipv4.neigh.default.gc_thresh3": 65536,
    "net.ipv4.neigh.default.gc_thresh2": 32768,
    "net.ipv6.neigh.default.gc_thresh3": 65536,
    "net.ipv6.neigh.default.gc_thresh2": 32768,
}


def check() -> None:
    """Raise LabError unless a lab can run here; the text says what to do."""
    if sys.platform != "linux":
        raise LabError(
            "the lab needs Linux: its hosts are network namespaces and control groups", code=LabCode.NEEDS_LINUX
        )
    if os.geteuid() != 0:
        raise LabError("the lab needs root: try `sudo dockmesh lab …`", code=LabCode.NEEDS_ROOT)
    if packages := missing():
        raise LabError(
            f"the lab needs programs that are not installed: apt-get install {' '.join(packages)}",
            code=LabCode.MISSING_PROGRAMS,
        )


def make_room() -> str | None:
    """Let the kernel have as many hosts as a lab may have; what was changed, if anything."""
    changed = [told for key, enough in _ENOUGH.items() if (told := _raised(key, enough))]
    return ", ".join(changed) or None


def _raised(key: str, enough: int) -> str | None:
    file = Path("/proc/sys", *key.split("."))
    before = int(file.read_text()) if file.exists() else enough
    if before >= enough:
        return None
    file.write_text(str(enough))
    return f"{key} raised from {before} to {enough}"
