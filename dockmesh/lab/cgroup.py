"""A control group per host: all that is in it is the host, whatever became of the process that started it.

A group knows its processes: no pid is kept that might name a stranger by then. One write ends or freezes all.
"""

import contextlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab.process import poll

_WITHIN_S = 20.0
_JOIN_CGROUP = Path(__file__).with_name("join_cgroup.sh")


def path(name: str) -> Path:
    """The group's folder in the unified hierarchy, there or not."""
    return _unified() / name


def contain(name: str) -> tuple[str, ...]:
    """Make the group, after ending what a crash left in it; the command that runs another one inside it."""
    remove(name)
    path(name).mkdir()
    return ("sh", str(_JOIN_CGROUP), str(path(name) / "cgroup.procs"))


def names() -> tuple[str, ...]:
    """Every group at the root."""
    return tuple(entry.name for entry in os.scandir(_unified()) if entry.is_dir())


def populated(name: str) -> bool:
    """Whether a process lives in the group."""
    return _event(name, "populated")


def frozen(name: str) -> bool:
    """Whether the group stands still."""
    return _event(name, "frozen")


def freeze(name: str, *, on: bool) -> None:
    """Stop every process of the group, or let them go on; returns when it is so."""
    (path(name) / "cgroup.freeze").write_text("1" if on else "0")
    _until(lambda: frozen(name) is on, f"{name} did not {'freeze' if on else 'thaw'}")


def kill(name: str) -> None:
    """End every process of the group, without waiting."""
    with contextlib.suppress(FileNotFoundError):
        (path(name) / "cgroup.kill").write_text("1")


def remove(name: str) -> None:
    """End every process of the group and take the group away, in all hierarchies."""
    kill(name)
    _until(lambda: not populated(name), f"processes of {name} do not end")
    _until(lambda: _removed(name), f"control group {name} does not go")


def drained(name: str, within_s: float) -> bool:
    """Wait for the group's last process to end; whether it did within that time."""
    return poll(lambda: not populated(name), within_s)


def supervisor(name: str) -> int | None:
    """The pid of the host's nspawn, or None where it does not run."""
    return next(iter(_pids(path(name) / "supervisor")), None)


def leader(name: str) -> int | None:
    """The pid, as this machine counts, of the host's PID 1, or None where it does not run (yet)."""
    # As it boots, systemd moves from the one into the other: looked at in this order, it is found wherever it is.
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


def _until(true: Callable[[], bool], complaint: str) -> None:
    if not poll(true, _WITHIN_S):
        raise LabError(f"{complaint} within {_WITHIN_S:g} s", code=LabCode.TIMEOUT)


@cache
def _unified() -> Path:
    mounts = _mounts("cgroup2")
    if not mounts:
        raise LabError(
            "no cgroup2 file system is mounted on this machine; the lab keeps every host in a control group",
            code=LabCode.NEEDS_CGROUP2,
        )
    return mounts[0]


@cache
def _hierarchies() -> tuple[Path, ...]:
    """Where a group may have a folder: systemd-nspawn mirrors it into the older hierarchies."""
    return (_unified(), *_mounts("cgroup"))


def _mounts(kind: str) -> tuple[Path, ...]:
    lines = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return tuple(Path(fields[4]) for fields in lines if fields[fields.index("-") + 1] == kind)
