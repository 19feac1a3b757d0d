"""Programs that the lab needs on this machine, with their Debian packages.

`python -m dockmesh.lab.requirements` prints the missing packages for apt-get, and nothing if all are installed.
"""

import os
import shutil
import sys

PACKAGES = {
    "apt-get": "apt",
    "cp": "coreutils",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "ssh-keygen": "openssh-client",
    "ssh-keyscan": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}

# Some root shells (su without -) lack the directories of system programs.
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def missing() -> tuple[str, ...]:
    """The missing packages, sorted, without duplicates."""
    absent = (package for program, package in PACKAGES.items() if shutil.which(program, path=PATH) is None)
    return tuple(sorted(set(absent)))


if __name__ == "__main__":
    sys.stdout.write(" ".join(missing()))
