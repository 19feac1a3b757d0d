"""Control groups: one per host contains all of its processes, even after the process that started it has ended.

The kernel tracks the members of a group, so the lab stores no pid, which the kernel could reuse. One write ends or
freezes all processes of a group.
"""

import contextlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.process import poll

_TIMEOUT_S = 20.0
_JOIN_CGROUP = Path(__file__).with_name("join_cgroup.sh")


def path(name: str) -> Path:
    """The group's directory in the unified hierarchy, whether it exists or not."""
    return _unified() / name


def contain(name: str) -> tuple[str, ...]:
    """Create an empty group, and return the command that runs another command inside it."""
    remove(name)
    path(name).mkdir()
    return ("sh", str(_JOIN_CGROUP), str(path(name) / "cgroup.procs"))


def names() -> tuple[str, ...]:
    """Names of all groups at the root."""
    return tuple(entry.name for entry in os.scandir(_unified()) if entry.is_dir())


def populated(name: str) -> bool:
    """Whether the group has a process."""
    return _event(name, "populated")


def frozen(name: str) -> bool:
    """Whether the group is frozen."""
    return _event(name, "frozen")


def freeze(name: str, *, on: bool) -> None:
    """Freeze or thaw every process of the group, and wait until they are."""
    (path(name) / "cgroup.freeze").write_text("1" if on else "0")
    _wait_until(lambda: frozen(name) is on, f"{name} did not {'freeze' if on else 'thaw'}")


def kill(name: str) -> None:
    """End every process of the group, without waiting."""
    with contextlib.suppress(FileNotFoundError):
        (path(name) / "cgroup.kill").write_text("1")


def remove(name: str) -> None:
    """End every process of the group and remove the group from all hierarchies."""
    kill(name)
    _wait_until(lambda: not populated(name), f"processes of {name} did not end")
    _wait_until(lambda: _removed(name), f"control group {name} could not be removed")


def drained(name: str, within_s: float) -> bool:
    """Wait for the last process of the group to end; whether it ended in time."""
    return poll(lambda: not populated(name), within_s)


def supervisor(name: str) -> int | None:
    """The pid of the host's systemd-nspawn, or None if it does not run."""
    return next(iter(_pids(path(name) / "supervisor")), None)


def leader(name: str) -> int | None:
    """The pid of the host's init in the namespace of this machine, or None if it does not run (yet)."""
    # During boot, systemd moves from the first group to the second, so this order always finds it.
    pids = (*_pids(path(name) / "payload"), *_pids(path(name) / "payload" / "init.scope"))
    return next((pid for pid in pids if _is_init(pid)), None)


def _pids(folder: Path) -> tuple[int, ...]:
    try:
        return tuple(map(int, (folder / "cgroup.procs").read_text().split()))
    except OSError:
        return ()


def _is_init(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    nested = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return nested == [str(pid), "1"]


def _event(name: str, key: str) -> bool:
    try:
        return f"{key} 1\n" in (path(name) / "cgroup.events").read_text()
    except OSError:
        return False


def _removed(name: str) -> bool:
    folders = [root / name for root in _hierarchies()]
    for folder in folders:
        for parent, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(parent).rmdir()
    return not any(folder.exists() for folder in folders)


def _wait_until(condition: Callable[[], bool], failure: str) -> None:
    if not poll(condition, _TIMEOUT_S):
        raise LabError(f"{failure} within {_TIMEOUT_S:g} s", code=LabCode.TIMEOUT)


@cache
def _unified() -> Path:
    mounts = _mounts("cgroup2")
    if not mounts:
        raise LabError(
            "the lab needs control groups v2, but this machine has no cgroup2 file system. "
            "Fix: mount -t cgroup2 none /sys/fs/cgroup",
            code=LabCode.NEEDS_CGROUP2,
        )
    return mounts[0]


@cache
def _hierarchies() -> tuple[Path, ...]:
    """The hierarchies in which a group may have a directory: systemd-nspawn copies it to the v1 hierarchies."""
    return (_unified(), *_mounts("cgroup"))


def _mounts(kind: str) -> tuple[Path, ...]:
    lines = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return tuple(Path(fields[4]) for fields in lines if fields[fields.index("-") + 1] == kind)
