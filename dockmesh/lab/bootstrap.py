"""Builders of a release's root file system, with debootstrap, and of the layer of further packages over it."""

import hashlib
import subprocess
from pathlib import Path
from threading import Event

from dockmesh.error_codes import LabCode
from dockmesh.errors import LabError
from dockmesh.lab import cgroup
from dockmesh.lab.mirror import mirror
from dockmesh.lab.process import ENVIRONMENT, poll
from dockmesh.lab.topology import RELEASES

_TIMEOUT_S = 1200.0
_SCRIPTS = Path("/usr/share/debootstrap/scripts")
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "ca-certificates", "procps", "docker.io"),
    *("iproute2", "iptables", "nftables", "iputils-ping", "tcpdump", "busybox-static"),
)
# Other software that configures networks and firewalls.
_LAYER_PACKAGES = ("firewalld", "ifupdown", "network-manager", "ufw")
_LAYER_SCRIPT = Path(__file__).with_name("add_packages.sh")
_DOCKER_CLI_INSIDE = frozenset({"bullseye", "bookworm"})


class UnknownReleaseError(LabError):
    """The mirror does not have the release, so that a second attempt would fail too."""

    def __init__(self, release: str, source: str) -> None:
        message = f"{source} has no Debian release {release!r}; the lab is tested with {', '.join(RELEASES)}"
        super().__init__(message, code=LabCode.UNKNOWN_RELEASE)


def is_unknown(release: str, log: str) -> bool:
    """Whether debootstrap failed because the release does not exist; for a known release, the mirror failed."""
    return release not in RELEASES and "Failed getting release file" in log


def packages(release: str) -> tuple[str, ...]:
    """The packages of a host of the release."""
    return _PACKAGES if release in _DOCKER_CLI_INSIDE else (*_PACKAGES, "docker-cli")


def bootstrap(release: str, partial: Path, group: str, cancelled: Event) -> None:
    """Build `partial/root`, with processes of the control group."""
    debs, root = partial / "debs", partial / "root"
    debs.mkdir(parents=True, exist_ok=True)
    script = _SCRIPTS / (release if (_SCRIPTS / release).exists() else "sid")
    chosen = ("--variant=minbase", f"--include={','.join(packages(release))}", f"--cache-dir={debs}")
    source, log = mirror(), partial / "log"
    try:
        _build(("debootstrap", *chosen, release, str(root), source, str(script)), log, group, cancelled)
    except LabError as error:
        if is_unknown(release, log.read_text()):
            raise UnknownReleaseError(release, source) from error
        raise


def layer_fingerprint(release: str) -> str:
    """A hash of everything that the layer of a release is made from, except the root file system below it."""
    recipe = "\n".join((release, *_LAYER_PACKAGES, _LAYER_SCRIPT.read_text()))
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def add_layer(release: str, root: Path, folder: Path, group: str, cancelled: Event) -> None:
    """Install other network managers and firewalls over `root`; the differences are in `folder/upper`.

    A separate layer keeps ordinary hosts unchanged and their boot fast. It takes 10 s and 86 MB.
    """
    folder.mkdir(parents=True)
    argv = ("sh", str(_LAYER_SCRIPT), str(root), str(folder), mirror(), release, *_LAYER_PACKAGES)
    _build(argv, folder / "log", group, cancelled)


def _build(argv: tuple[str, ...], log: Path, group: str, cancelled: Event) -> None:
    """Run a build in the control group until it ends or is cancelled.

    If this process is killed, the next one ends the group. The log is a file, because nothing would read a pipe.
    """
    try:
        with log.open("wb") as out:
            process = subprocess.Popen(
                (*cgroup.contain(group), "unshare", "--mount", *argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=ENVIRONMENT,
                start_new_session=True,
            )
            with process:
                poll(lambda: process.poll() is not None or cancelled.is_set(), _TIMEOUT_S)
                cgroup.kill(group)
    finally:
        cgroup.remove(group)
    if process.returncode != 0:
        raise LabError(
            f"{group}: {''.join(log.read_text().splitlines(keepends=True)[-3:])}", code=LabCode.COMMAND_FAILED
        )
