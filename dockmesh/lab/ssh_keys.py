"""Who may log in where: the controller's key, the hosts' keys."""

import os
from pathlib import Path

from dockmesh.lab.host import make_folder
from dockmesh.lab.process import run

# The recipe's account; root comes with every Debian.
_ADMIN_UID = 1000


def create_key(private: Path, comment: str) -> str:
    """A new Ed25519 key without passphrase, `.pub` beside it; its public part as type and blob."""
    run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)))
    return public_key(private)


def public_key(private: Path) -> str:
    """Type and blob of a key that exists."""
    return " ".join(private.with_suffix(".pub").read_text().split()[:2])


def host_key(upper: Path) -> Path:
    """Where a host has its private key."""
    return upper / "etc" / "ssh" / "ssh_host_ed25519_key"


def admit(upper: Path, controller: str) -> None:
    """Let the controller's key in as root and as admin."""
    _authorize(upper / "root", controller, 0)
    make_folder(upper / "home")
    _authorize(upper / "home" / "admin", controller, _ADMIN_UID)


def _authorize(home: Path, key: str, uid: int) -> None:
    for folder in (home, home / ".ssh"):
        make_folder(folder, 0o700)
        os.chown(folder, uid, uid)
    authorized = home / ".ssh" / "authorized_keys"
    authorized.write_text(f"{key} dockmesh lab\n")
    authorized.chmod(0o600)
    os.chown(authorized, uid, uid)
