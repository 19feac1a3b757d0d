"""The programs the lab runs on this machine and the Debian packages they come in.

`python -m dockmesh.lab.requirements` prints the packages that are missing, for apt-get; nothing if none is.
"""

import os
import shutil
import sys

PACKAGES = {
    "apt-get": "apt",
    "cp": "coreutils",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "ssh-keygen": "openssh-client",
    "ssh-keyscan": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}

# The folders of system programs are missing from PATH in some root shells (su without -).
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def missing() -> tuple[str, ...]:
    """The packages to install, sorted, each once."""
    absent = (package for program, package in PACKAGES.items() if shutil.which(program, path=PATH) is None)
    return tuple(sorted(set(absent)))


if __name__ == "__main__":
    sys.stdout.write(" ".join(missing()))
