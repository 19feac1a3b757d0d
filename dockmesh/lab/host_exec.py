"""Commands inside a running host, without SSH and network, so that they work even if these are broken."""

import os
import subprocess
from collections.abc import Sequence

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import cgroup, process

_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
)


def is_running(handle: str) -> bool:
    """Whether the host has an init process."""
    return cgroup.leader(handle) is not None


def enter(handle: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command on this machine that runs `argv` as root on the host, without this machine's environment.

    Raises:
        LabError: the host does not run.
    """
    pid = cgroup.leader(handle)
    if pid is None:
        raise LabError(
            f"{handle.removeprefix('dockmesh-')}: not running. Fix: dockmesh lab up",
            code=LabCode.NOT_RUNNING,
        )
    namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
    terminal = (f"TERM={os.environ['TERM']}",) if "TERM" in os.environ else ()
    return ("nsenter", "--target", str(pid), *namespaces, "env", "-i", *_ENVIRONMENT, *terminal, *argv)


def run(
    handle: str,
    argv: Sequence[str],
    *,
    text: str = "",
    check: bool = False,
    within_s: float = process.TIMEOUT_S,
) -> subprocess.CompletedProcess[str]:
    """Run a command on the host to its end; with `check`, raise LabError if it fails."""
    completed = process.run(enter(handle, argv), text=text, check=False, within_s=within_s)
    if check and completed.returncode != 0:
        raise LabError(
            f"{handle.removeprefix('dockmesh-')}: {' '.join(argv)}: {process.error_text(completed)}",
            code=LabCode.COMMAND_FAILED,
        )
    return completed
