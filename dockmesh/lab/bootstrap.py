"""A release's packages: a root file system by debootstrap, and a layer of others over it."""

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

_WITHIN_S = 1200.0
_SCRIPTS = Path("/usr/share/debootstrap/scripts")
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "ca-certificates", "procps", "docker.io"),
    *("iproute2", "iptables", "nftables", "iputils-ping", "tcpdump", "busybox-static"),
)
# Who else has a say in a host's network.
_LAYER_PACKAGES = ("firewalld", "ifupdown", "network-manager", "ufw")
_LAYER_SCRIPT = Path(__file__).with_name("add_packages.sh")
_DOCKER_CLI_INSIDE = frozenset({"bullseye", "bookworm"})


class UnknownReleaseError(LabError):
    """The mirror has no such release; another attempt would come to the same."""

    def __init__(self, release: str, source: str) -> None:
        message = f"{source} has no Debian release {release!r}; the lab is tested with {', '.join(RELEASES)}"
        super().__init__(message, code=LabCode.UNKNOWN_RELEASE)


def is_unknown(release: str, log: str) -> bool:
    """Whether debootstrap failed because there is no such release; of those there are, the mirror failed."""
    return release not in RELEASES and "Failed getting release file" in log


def packages(release: str) -> tuple[str, ...]:
    """What a host of the release has installed."""
    return _PACKAGES if release in _DOCKER_CLI_INSIDE else (*_PACKAGES, "docker-cli")


def bootstrap(release: str, partial: Path, group: str, given_up: Event) -> None:
    """Make `root` in that folder, by processes of the group."""
    debs, root = partial / "debs", partial / "root"
    debs.mkdir(parents=True, exist_ok=True)
    script = _SCRIPTS / (release if (_SCRIPTS / release).exists() else "sid")
    chosen = ("--variant=minbase", f"--include={','.join(packages(release))}", f"--cache-dir={debs}")
    source, log = mirror(), partial / "log"
    try:
        _build(("debootstrap", *chosen, release, str(root), source, str(script)), log, group, given_up)
    except LabError as error:
        if is_unknown(release, log.read_text()):
            raise UnknownReleaseError(release, source) from error
        raise


def layer_fingerprint(release: str) -> str:
    """A hash of everything that the layer of a release is made from, except the root file system below it."""
    recipe = "\n".join((release, *_LAYER_PACKAGES, _LAYER_SCRIPT.read_text()))
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def add_layer(release: str, root: Path, folder: Path, group: str, given_up: Event) -> None:
    """Install other network managers and firewalls over `root`: what differs from it is `upper` in that folder.

    As a layer of its own, ordinary hosts go without: they stay as they are, and boot as fast. It costs 10 s and 86 MB.
    """
    folder.mkdir(parents=True)
    argv = ("sh", str(_LAYER_SCRIPT), str(root), str(folder), mirror(), release, *_LAYER_PACKAGES)
    _build(argv, folder / "log", group, given_up)


def _build(argv: tuple[str, ...], log: Path, group: str, given_up: Event) -> None:
    """Run a build in the group to its end, or end it: ending the group ends it, should we be killed.

    Its log goes to a file: a pipe would want reading.
    """
    try:
        with log.open("wb") as out:
            building = subprocess.Popen(
                (*cgroup.contain(group), "unshare", "--mount", *argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=ENVIRONMENT,
                start_new_session=True,
            )
            with building:
                poll(lambda: building.poll() is not None or given_up.is_set(), _WITHIN_S)
                cgroup.kill(group)
    finally:
        cgroup.remove(group)
    if building.returncode != 0:
        raise LabError(
            f"{group}: {''.join(log.read_text().splitlines(keepends=True)[-3:])}", code=LabCode.COMMAND_FAILED
        )
