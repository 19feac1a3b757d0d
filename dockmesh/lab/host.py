"""Lifecycle of one host: its files, its boot with systemd-nspawn, its shutdown."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dockmesh.core.text import indented
from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import cgroup, host_exec
from dockmesh.lab.process import ENVIRONMENT, poll, run

READY_TIMEOUT_S = 120.0
_MOUNT_ROOT = Path(__file__).with_name("mount_root.sh")
_DISK_BYTES = 256 << 20
# ioctl(2) of ext4: _IOR('X', 125, __u32), and its argument that loses what is in memory.
_EXT4_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, (2).to_bytes(4, sys.byteorder)
_NSPAWN_ENVIRONMENT = {
    # Docker sets ip_forward; everything else under /proc/sys and /sys belongs to the machine.
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
    # runc and newer systemd require the unified hierarchy, even if the machine has the v1 hierarchies.
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """A bootable host: read-only layers, topmost first, the directory of its own files, its network option."""

    handle: str
    hostname: str
    layers: tuple[Path, ...]
    folder: Path
    network: str
    disk: bool = False

    @property
    def own(self) -> Path:
        """The upper layer with its work directory. The host mounts its disk, if it has one, over this directory."""
        return self.folder / "own"

    @property
    def upper(self) -> Path:
        """The host's own files; for a host with a disk, those of its first boot."""
        return self.own / "upper"

    @property
    def image(self) -> Path:
        """The host's disk."""
        return self.folder / "disk.ext4"

    @property
    def console(self) -> Path:
        """Log of the host's console."""
        return self.folder / "console.log"


def lay_out(machine: Machine, docker: Path | None = None) -> None:
    """Create the machine's directory, with its own copy of Docker's data directory."""
    machine.folder.mkdir()
    for name in ("own", "own/upper", "own/upper/etc", "own/work", "merged", "docker", "containerd"):
        make_folder(machine.folder / name)
    if docker:
        run(("cp", "--archive", "--reflink=auto", f"{docker}/.", str(machine.folder / "docker")))
    machine_id = hashlib.md5(machine.handle.encode(), usedforsecurity=False).hexdigest()
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {machine.hostname}\n"
    for name, text in (("hostname", f"{machine.hostname}\n"), ("hosts", hosts), ("machine-id", f"{machine_id}\n")):
        file = machine.upper / "etc" / name
        file.write_text(text)
        file.chmod(0o644)


def mask(machine: Machine, *units: str) -> None:
    """Mask these units of the machine."""
    folder = machine.upper / "etc" / "systemd" / "system"
    make_folder(folder.parent)
    make_folder(folder)
    for unit in units:
        (folder / unit).symlink_to("/dev/null")


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Create a directory of exactly that mode, regardless of the umask: the host inherits the mode via the overlay."""
    folder.mkdir()
    folder.chmod(mode)


def boot(machine: Machine) -> None:
    """Start the machine, in a session of its own, so that it survives the caller."""
    layers = {
        "lowerdir": ":".join(map(str, machine.layers)),
        "upperdir": machine.upper,
        "workdir": machine.own / "work",
    }
    merged = machine.folder / "merged"
    options = ",".join(f"{key}={layer}" for key, layer in layers.items())
    detached = ("setsid", "--fork", "unshare", "--mount", "--propagation", "slave")
    if machine.disk:
        _prepare_disk(machine)
    disk = str(machine.image) if machine.disk else ""
    mount_root = ("sh", str(_MOUNT_ROOT), disk, str(machine.own), options, str(merged))
    with machine.console.open("ab") as console:
        subprocess.run(
            (*cgroup.contain(machine.handle), *detached, *mount_root, *_nspawn(machine, merged)),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=ENVIRONMENT | _NSPAWN_ENVIRONMENT,
            check=True,
        )


def wait_booted(machine: Machine, within_s: float = READY_TIMEOUT_S) -> None:
    """Wait until systemd has started all units, including sshd and Docker."""
    wait_until(lambda: _booted(machine), machine, "finish booting", within_s)


def wait_until(condition: Callable[[], bool], machine: Machine, goal: str, within_s: float = READY_TIMEOUT_S) -> None:
    """Poll a started machine until the condition holds; `goal` continues the message `did not …`.

    Raises:
        LabError: the time is over, or the machine ended.
    """
    done = False

    def settled() -> bool:
        nonlocal done
        done = condition()
        return done or not cgroup.populated(machine.handle)

    if not poll(settled, within_s):
        raise LabError(
            f"{machine.hostname} did not {goal} within {within_s:g} s{_tail(machine.console)}", code=LabCode.TIMEOUT
        )
    if not done:
        raise LabError(f"{machine.hostname} died and did not {goal}{_tail(machine.console)}", code=LabCode.HOST_DIED)


def shut_down(handle: str, within_s: float = 10.0) -> None:
    """Shut the host down in order, as a reboot does; kill it if that takes too long."""
    pid = cgroup.supervisor(handle)
    if pid is not None:
        cgroup.freeze(handle, on=False)
        # Read from the host's own group just before, so the pid cannot be that of another process.
        os.kill(pid, signal.SIGTERM)
        cgroup.drained(handle, within_s)
    cgroup.remove(handle)


def cut_power(machine: Machine) -> None:
    """End the machine, which must have a disk, as a power cut does. Only what it had synced is on the disk.

    Docker's data directory is no part of the disk.
    """
    pid = cgroup.supervisor(machine.handle)
    # The disk is mounted in the namespace of this process only.
    disk = os.open(f"/proc/{pid}/root{machine.own}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(disk, _EXT4_SHUTDOWN, _NO_LOG_FLUSH)
    finally:
        os.close(disk)
    cgroup.remove(machine.handle)


def throw_away(folder: Path) -> None:
    """Remove the directory of a stopped machine."""
    shutil.rmtree(folder, ignore_errors=True)


def _prepare_disk(machine: Machine) -> None:
    """Create the disk with the machine's files, or wait until the previous boot has released it."""
    if machine.image.exists():
        # The kernel unmounts it after the last process of the machine, and detaches the loop device with that.
        in_use = ("losetup", "--associated", str(machine.image))
        if not poll(lambda: not run(in_use).stdout, READY_TIMEOUT_S):
            raise LabError(f"{machine.hostname}: its disk is still in use", code=LabCode.TIMEOUT)
        return
    with machine.image.open("xb") as image:
        image.truncate(_DISK_BYTES)
    run(("mkfs.ext4", "-q", "-F", "-d", str(machine.own), str(machine.image)))


def _nspawn(machine: Machine, merged: Path) -> tuple[str, ...]:
    return (
        "systemd-nspawn",
        "--quiet",
        "--register=no",
        "--keep-unit",
        f"--directory={merged}",
        f"--machine={machine.hostname}",
        machine.network,
        "--capability=all",
        "--system-call-filter=@keyring bpf",
        # The host's root is an overlay, on which overlay2 does not work.
        f"--bind={machine.folder / 'docker'}:/var/lib/docker",
        f"--bind={machine.folder / 'containerd'}:/var/lib/containerd",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--boot",
    )


def _booted(machine: Machine) -> bool:
    pid = cgroup.leader(machine.handle)
    # Before D-Bus listens, `--wait` does not wait, and repeated calls would slow the boot down.
    if pid is None or not os.access(f"/proc/{pid}/root/run/dbus/system_bus_socket", os.F_OK):
        return False
    state = host_exec.run(machine.handle, ("systemctl", "is-system-running", "--wait"), within_s=READY_TIMEOUT_S)
    return state.stdout.strip() in {"running", "degraded"}


def _tail(console: Path) -> str:
    lines = console.read_text(errors="replace").splitlines() if console.exists() else []
    return indented(lines[-12:])
