"""SSH keys of the controller and the hosts, and the controller's access."""

import os
from pathlib import Path

from dockmesh.lab.host import make_folder
from dockmesh.lab.process import run

# The account that recipe.sh creates.
_ADMIN_UID = 1000


def create_key(private: Path, comment: str) -> str:
    """Create an Ed25519 key without passphrase, with its `.pub` file; returns its public part as type and blob."""
    run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)))
    return public_key(private)


def public_key(private: Path) -> str:
    """The public part of an existing key, as type and blob."""
    return " ".join(private.with_suffix(".pub").read_text().split()[:2])


def host_key(upper: Path) -> Path:
    """Path of a host's private key."""
    return upper / "etc" / "ssh" / "ssh_host_ed25519_key"


def authorize(upper: Path, controller: str) -> None:
    """Authorize the controller's key for root and admin."""
    _authorize_account(upper / "root", controller, 0)
    make_folder(upper / "home")
    _authorize_account(upper / "home" / "admin", controller, _ADMIN_UID)


def _authorize_account(home: Path, key: str, uid: int) -> None:
    for folder in (home, home / ".ssh"):
        make_folder(folder, 0o700)
        os.chown(folder, uid, uid)
    authorized = home / ".ssh" / "authorized_keys"
    authorized.write_text(f"{key} dockmesh lab\n")
    authorized.chmod(0o600)
    os.chown(authorized, uid, uid)
