"""A release's packages, unpacked and configured by debootstrap."""

import subprocess
from pathlib import Path
from threading import Event

from dockmesh.errors import LabError
from dockmesh.lab import cgroup
from dockmesh.lab.command import ENVIRONMENT, poll
from dockmesh.lab.mirror import mirror

_WITHIN_S = 1200.0
_SCRIPTS = Path("/usr/share/debootstrap/scripts")
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "ca-certificates", "procps", "docker.io"),
    *("iproute2", "iptables", "nftables", "iputils-ping", "tcpdump", "busybox-static"),
)
_DOCKER_CLI_INSIDE = frozenset({"bullseye", "bookworm"})


def packages(release: str) -> tuple[str, ...]:
    """What a host of the release has installed."""
    return _PACKAGES if release in _DOCKER_CLI_INSIDE else (*_PACKAGES, "docker-cli")


def bootstrap(release: str, partial: Path, group: str, given_up: Event) -> None:
    """Make `root` in that folder, contained in the group: ending the group ends it, should we be killed."""
    debs, root = partial / "debs", partial / "root"
    debs.mkdir(parents=True, exist_ok=True)
    script = _SCRIPTS / (release if (_SCRIPTS / release).exists() else "sid")
    chosen = ("--variant=minbase", f"--include={','.join(packages(release))}", f"--cache-dir={debs}")
    argv = ("unshare", "--mount", "debootstrap", *chosen, release, str(root), mirror(), str(script))
    try:
        _attend((*cgroup.contain(group), *argv), partial / "log", group, given_up)
    finally:
        cgroup.remove(group)


def _attend(argv: tuple[str, ...], log: Path, group: str, given_up: Event) -> None:
    """Run the build to its end, or end it. Its log goes to a file: a pipe would want reading."""
    with log.open("wb") as out:
        building = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        with building:
            poll(lambda: building.poll() is not None or given_up.is_set(), _WITHIN_S)
            cgroup.kill(group)
    if building.returncode != 0:
        raise LabError(f"{group}: {''.join(log.read_text().splitlines(keepends=True)[-3:])}")
