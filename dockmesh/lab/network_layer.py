"""Who else has a say in a host's network, installed over a release's root file system: NetworkManager, ufw, ….

As a layer of its own, ordinary hosts go without: they stay as they are, and boot as fast. It costs 10 s and 86 MB.
"""

import hashlib
from pathlib import Path
from threading import Event

from dockmesh.lab import cgroup
from dockmesh.lab.bootstrap import attend
from dockmesh.lab.mirror import mirror

_SCRIPT = Path(__file__).with_name("add_packages.sh")
_PACKAGES = ("firewalld", "ifupdown", "network-manager", "ufw")


def fingerprint(release: str) -> str:
    """Of all that a layer is made from but the root below it."""
    recipe = "\n".join((release, *_PACKAGES, _SCRIPT.read_text()))
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def add(release: str, root: Path, folder: Path, group: str, given_up: Event) -> None:
    """Make `upper` in that folder, contained in the group: ending the group ends it, should we be killed."""
    folder.mkdir(parents=True)
    argv = ("unshare", "--mount", "sh", str(_SCRIPT), str(root), str(folder), mirror(), release, *_PACKAGES)
    try:
        attend((*cgroup.contain(group), *argv), folder / "log", group, given_up)
    finally:
        cgroup.remove(group)
