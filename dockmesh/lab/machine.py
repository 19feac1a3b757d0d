"""What the lab asks of the machine it runs on."""

import os
import sys
from pathlib import Path

from dockmesh.errors import LabError
from dockmesh.lab.requirements import missing

_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_INSTANCES = 8192


def check() -> None:
    """Raise LabError unless a lab can run here; the text says what to do."""
    if sys.platform != "linux":
        raise LabError("the lab needs Linux: its hosts are network namespaces and control groups")
    if os.geteuid() != 0:
        raise LabError("the lab needs root: try `sudo dockmesh lab …`")
    if packages := missing():
        raise LabError(f"the lab needs programs that are not installed: apt-get install {' '.join(packages)}")


def raise_inotify() -> str | None:
    """Give systemd the inotify instances that many hosts take; what was changed, if anything."""
    before = int(_INSTANCES.read_text())
    if before >= _ENOUGH_INSTANCES:
        return None
    _INSTANCES.write_text(str(_ENOUGH_INSTANCES))
    return f"fs.inotify.max_user_instances raised from {before} to {_ENOUGH_INSTANCES}"
