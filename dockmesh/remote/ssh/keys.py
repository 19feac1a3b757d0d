"""Private keys and their certificates, each read once per run."""

import shlex
import threading
from collections.abc import Callable
from copy import copy
from pathlib import Path

from paramiko import Agent, PKey, SSHException
from paramiko.pkey import PublicBlob

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.remote.ssh.secret import Secret

# Asks for a passphrase. None without an answer.
Ask = Callable[[str], Secret | None]


class Keys:
    """The keys of a run. An encrypted key remains locked until `unlock`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[Path, PKey | None] = {}

    def of(self, file: Path) -> PKey | None:
        """Return the key in `file`, without a certificate. None for a locked key.

        Raises:
            OSError, ValueError, paramiko.SSHException: the file cannot be read or parsed.
        """
        with self._lock:
            if file not in self._keys:
                self._keys[file] = _load(file)
            return self._keys[file]

    def unlock(self, file: Path, ask: Ask) -> None:
        """Ask for the passphrase of `file`, unless the key is plain or the agent holds it.

        Raises:
            UsageError: the passphrase is wrong.
        """
        try:
            locked = self.of(file) is None
        except (OSError, ValueError, SSHException):
            return  # The hosts that use the key report the error.
        if not locked or public(file) in {key.asbytes() for key in agent_keys()}:
            return
        if passphrase := ask(f"passphrase of {file}"):
            try:
                key = _load(file, passphrase.reveal())
            except ValueError as error:
                raise UsageError(
                    f"{file}: wrong passphrase. Fix: try again, or load the key with: ssh-add {shlex.quote(str(file))}",
                    code=UsageCode.WRONG_PASSPHRASE,
                ) from error
            with self._lock:
                self._keys[file] = key


def certified(key: PKey, file: Path) -> PKey | None:
    """The key with the certificate in `file`. None without a certificate of that type of key."""
    try:
        key = copy(key)
        key.load_certificate(str(file))
    except (OSError, ValueError, IndexError):
        return None
    return key


def public(file: Path) -> bytes | None:
    """The public key in the .pub file next to a private key. None without such a file."""
    try:
        blob: bytes = PublicBlob.from_file(f"{file}.pub").key_blob
    except (OSError, ValueError, IndexError):
        return None
    return blob


def agent_keys() -> tuple[PKey, ...]:
    """The keys of the agent. Each call opens a connection, because threads cannot share one."""
    return tuple(Agent().get_keys())


def _load(file: Path, passphrase: bytes | None = None) -> PKey | None:
    try:
        key: PKey = PKey.from_path(file, passphrase)  # type: ignore[arg-type]
    except TypeError:  # cryptography raises it for a key that needs a passphrase.
        return None
    key.public_blob = None
    return key
