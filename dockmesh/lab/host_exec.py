"""Commands inside a host that runs: past SSH and network, so that they work when those are what is broken."""

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
    """Whether the host has a PID 1."""
    return cgroup.leader(handle) is not None


def enter(handle: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command of this machine that runs `argv` as root on the host, in the host's environment only."""
    pid = cgroup.leader(handle)
    if pid is None:
        raise LabError(
            f"{handle.removeprefix('dockmesh-')} is not running; `dockmesh lab up` starts it again",
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
    within_s: float = process.WITHIN_S,
) -> subprocess.CompletedProcess[str]:
    """The finished process on the host; with `check`, a LabError where it failed."""
    done = process.run(enter(handle, argv), text=text, check=False, within_s=within_s)
    if check and done.returncode != 0:
        raise LabError(
            f"{handle.removeprefix('dockmesh-')}: {' '.join(argv)}: {process.last_words(done)}",
            code=LabCode.COMMAND_FAILED,
        )
    return done
