"""Python for the hosts, which only Ansible needs: one directory, mounted into each host."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import cgroup
from dockmesh.lab.process import run
from dockmesh.lab.running import Lab

INTERPRETER = "/opt/bench-python/usr/bin/python3"
_MOUNT = Path(INTERPRETER).parents[2]
_WITHIN_S = 120.0
# From linux/mount.h; the numbers of the system calls are the same on every architecture.
_OPEN_TREE, _MOVE_MOUNT = 428, 429
_AT_FDCWD = -100
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 4
_CLONE_NEWNS = 0x20000


@contextmanager
def on_hosts(lab: Lab) -> Iterator[str | None]:
    """Install Python on the lab's hosts until they go down; yields the reason if that is impossible, else None."""
    with TemporaryDirectory(prefix="dockmesh-bench-python-") as folder:
        try:
            _unpack(Path(folder))
            for each in lab.topology.hosts:
                lab.run(each.name, ("mkdir", "-p", str(_MOUNT)), check=True)
                _mount(Path(folder), each.handle)
            first = lab.topology.hosts[0].name
            # As the packages do during installation: otherwise every call compiles the modules again.
            lab.run(first, (INTERPRETER, "-m", "compileall", "-q", f"{_MOUNT}/usr/lib"), within_s=_WITHIN_S)
            lab.run(first, (INTERPRETER, "-c", "import json, ssl, zipfile"), check=True)
        except (LabError, OSError) as error:
            yield f"no Python for the hosts: {error}"
        else:
            yield None


def _unpack(folder: Path) -> None:
    output = run(("apt-cache", "depends", "python3-minimal")).stdout
    dependency = re.search(r"Depends: (python3\.\d+)-minimal", output)
    if dependency is None:
        raise LabError("the machine's package lists have no python3-minimal", code=LabCode.COMMAND_FAILED)
    version = dependency[1]
    names = (f"{version}-minimal", f"lib{version}-minimal", f"lib{version}-stdlib")
    # apt-get downloads into the current directory.
    run(("env", "-C", str(folder), "apt-get", "download", "-q", *names), within_s=_WITHIN_S)
    for package in folder.glob("*.deb"):
        run(("dpkg", "-x", str(package), str(folder)))
        package.unlink()
    (folder / "usr" / "bin" / "python3").symlink_to(version)
    folder.chmod(0o755)


def _mount(folder: Path, handle: str) -> None:
    """Mount the directory into the host, by descriptor: a path is not valid in another mount namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    tree = libc.syscall(_OPEN_TREE, _AT_FDCWD, str(folder).encode(), _OPEN_TREE_CLONE)
    _check(tree)
    child = os.fork()
    if child == 0:
        os._exit(_move(libc, tree, cgroup.leader(handle)))
    _pid, status = os.waitpid(child, 0)
    os.close(tree)
    if status != 0:
        raise LabError(f"{handle}: cannot mount Python", code=LabCode.COMMAND_FAILED)


def _move(libc: ctypes.CDLL, tree: int, leader: int | None) -> int:
    with Path(f"/proc/{leader}/ns/mnt").open(encoding="ascii") as namespace:
        entered = libc.setns(namespace.fileno(), _CLONE_NEWNS)
    target = str(_MOUNT).encode()
    moved = entered == 0 and libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, target, _MOVE_MOUNT_F_EMPTY_PATH) == 0
    return 0 if moved else 1


def _check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "this kernel cannot move mounts between namespaces")
