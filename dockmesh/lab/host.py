"""One host: its files, its boot, commands inside it, its end. Booting it is systemd-nspawn's business."""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dockmesh.core.text import indented
from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import cgroup, host_exec
from dockmesh.lab.process import ENVIRONMENT, poll, run

READY_WITHIN_S = 120.0
_MOUNT_ROOT = Path(__file__).with_name("mount_root.sh")
_NSPAWN_ENVIRONMENT = {
    # Docker sets ip_forward; everything else under /proc/sys and /sys belongs to the machine.
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
    # runc and newer systemd insist on the unified hierarchy, whatever the machine has.
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What boots: read-only layers, topmost first, the folder of what differs from them, a network to be in."""

    handle: str
    hostname: str
    layers: tuple[Path, ...]
    folder: Path
    network: str

    @property
    def console(self) -> Path:
        """What the host said on its console."""
        return self.folder / "console.log"


def lay_out(machine: Machine, docker: Path | None = None) -> None:
    """Make the machine's folder, with its own copy of what Docker keeps."""
    machine.folder.mkdir()
    for name in ("upper", "upper/etc", "work", "merged", "docker", "containerd"):
        make_folder(machine.folder / name)
    if docker:
        run(("cp", "--archive", "--reflink=auto", f"{docker}/.", str(machine.folder / "docker")))
    machine_id = hashlib.md5(machine.handle.encode(), usedforsecurity=False).hexdigest()
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {machine.hostname}\n"
    for name, text in (("hostname", f"{machine.hostname}\n"), ("hosts", hosts), ("machine-id", f"{machine_id}\n")):
        file = machine.folder / "upper" / "etc" / name
        file.write_text(text)
        file.chmod(0o644)


def mask(machine: Machine, *units: str) -> None:
    """Let the machine start none of these units."""
    folder = machine.folder / "upper" / "etc" / "systemd" / "system"
    make_folder(folder.parent)
    make_folder(folder)
    for unit in units:
        (folder / unit).symlink_to("/dev/null")


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """A folder of exactly that mode, as the overlay takes it over into the host, whatever the caller's umask."""
    folder.mkdir()
    folder.chmod(mode)


def boot(machine: Machine) -> None:
    """Start the machine. It runs on in a session of its own when the caller is gone, however it went."""
    layers = {
        "lowerdir": ":".join(map(str, machine.layers)),
        "upperdir": machine.folder / "upper",
        "workdir": machine.folder / "work",
    }
    merged = machine.folder / "merged"
    options = ",".join(f"{key}={layer}" for key, layer in layers.items())
    detached = ("setsid", "--fork", "unshare", "--mount", "--propagation", "slave")
    becoming = ("sh", str(_MOUNT_ROOT), options, str(merged))
    with machine.console.open("ab") as console:
        subprocess.run(
            (*cgroup.contain(machine.handle), *detached, *becoming, *_nspawn(machine, merged)),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=ENVIRONMENT | _NSPAWN_ENVIRONMENT,
            check=True,
        )


def wait_booted(machine: Machine, within_s: float = READY_WITHIN_S) -> None:
    """Return once systemd has started all there is to start, sshd and Docker included."""
    wait_until(lambda: _booted(machine), machine, "to finish booting", within_s)


def wait_until(true: Callable[[], bool], machine: Machine, what: str, within_s: float = READY_WITHIN_S) -> None:
    """Poll a started machine. A LabError says what it did not do in time, or that it died."""
    done = False

    def settled() -> bool:
        nonlocal done
        done = true()
        return done or not cgroup.populated(machine.handle)

    if not poll(settled, within_s):
        raise LabError(
            f"{machine.hostname} took over {within_s:g} s {what}{_tail(machine.console)}", code=LabCode.TIMEOUT
        )
    if not done:
        raise LabError(f"{machine.hostname} died before it came {what}{_tail(machine.console)}", code=LabCode.HOST_DIED)


def shut_down(handle: str, within_s: float = 10.0) -> None:
    """Let the host stop its services in order, as a reboot does; end it by force when that takes too long."""
    pid = cgroup.supervisor(handle)
    if pid is not None:
        cgroup.freeze(handle, on=False)
        # The pid is read from the host's own group a moment before, so it is no stranger's.
        os.kill(pid, signal.SIGTERM)
        cgroup.drained(handle, within_s)
    cgroup.remove(handle)


def throw_away(folder: Path) -> None:
    """Remove the folder of a machine that runs no more."""
    shutil.rmtree(folder, ignore_errors=True)


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
        # overlay2 does not stack on the overlay that is the host's root.
        f"--bind={machine.folder / 'docker'}:/var/lib/docker",
        f"--bind={machine.folder / 'containerd'}:/var/lib/containerd",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--boot",
    )


def _booted(machine: Machine) -> bool:
    if not host_exec.is_running(machine.handle):
        return False
    state = host_exec.run(machine.handle, ("systemctl", "is-system-running", "--wait"), within_s=READY_WITHIN_S)
    return state.stdout.strip() in {"running", "degraded"}


def _tail(console: Path) -> str:
    lines = console.read_text(errors="replace").splitlines() if console.exists() else []
    return indented(lines[-12:])
