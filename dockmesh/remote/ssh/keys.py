"""Private keys, each read once per run, with its certificate and, where it is known, its passphrase."""

import threading
from collections.abc import Callable
from copy import copy
from pathlib import Path

from paramiko import Agent, PKey, SSHException
from paramiko.pkey import PublicBlob

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.remote.ssh.secret import Secret

# Asks for the passphrase of a key; None where there is no answer.
Ask = Callable[[str], Secret | None]


class Keys:
    """The keys of a run. One that is encrypted stays locked until it is unlocked, or is left to the agent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[Path, PKey | None] = {}

    def of(self, file: Path) -> PKey | None:
        """The key in `file`, without a certificate; None where it is locked.

        Raises:
            OSError, ValueError, paramiko.SSHException: it cannot be read.
        """
        with self._lock:
            if file not in self._keys:
                self._keys[file] = _loaded(file)
            return self._keys[file]

    def unlock(self, file: Path, ask: Ask) -> None:
        """Ask for the passphrase of `file`, if it needs one and the agent does not hold the key.

        Raises:
            UsageError: the passphrase is wrong.
        """
        try:
            locked = self.of(file) is None
        except (OSError, ValueError, SSHException):
            return  # an error of the hosts that want it
        if not locked or public(file) in {key.asbytes() for key in agent_keys()}:
            return
        if passphrase := ask(f"passphrase of {file}"):
            try:
                key = _loaded(file, passphrase.reveal())
            except ValueError as error:
                raise UsageError(f"that is not the passphrase of {file}", code=UsageCode.WRONG_PASSPHRASE) from error
            with self._lock:
                self._keys[file] = key


def certified(key: PKey, file: Path) -> PKey | None:
    """The key with the certificate in `file`, if that is one of its kind."""
    try:
        key = copy(key)
        key.load_certificate(str(file))
    except (OSError, ValueError, IndexError):
        return None
    return key


def public(file: Path) -> bytes | None:
    """The public half in the file next to a key."""
    try:
        blob: bytes = PublicBlob.from_file(f"{file}.pub").key_blob
    except (OSError, ValueError, IndexError):
        return None
    return blob


def agent_keys() -> tuple[PKey, ...]:
    """The keys of the agent, over a separate connection, because threads cannot share one."""
    return tuple(Agent().get_keys())


def _loaded(file: Path, passphrase: bytes | None = None) -> PKey | None:
    try:
        key: PKey = PKey.from_path(file, passphrase)  # type: ignore[arg-type]
    except TypeError:  # cryptography's word for a key that wants a passphrase
        return None
    key.public_blob = None
    return key
