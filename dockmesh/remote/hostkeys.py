"""Which host keys are trusted: known_hosts, strictly. Nothing here ever accepts a changed key."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from paramiko import HostKeys, MissingHostKeyPolicy, PKey, SSHClient
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from paramiko.ssh_exception import SSHException


class UnknownHostKeyError(SSHException):
    """The host showed a key that known_hosts has no line for."""

    def __init__(self, name: str, key: PKey) -> None:
        self.name = name
        self.key = key
        super().__init__(f"unknown host key {key.fingerprint}")


class RevokedHostKeyError(SSHException):
    """The host showed a key that known_hosts revokes."""

    def __init__(self, key: PKey) -> None:
        super().__init__(f"its host key {key.fingerprint} is revoked by a line of known_hosts")


class KnownHosts:
    """The known_hosts files of a run, each read once, shared by all connections."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._lock = threading.Lock()
        self._keys = HostKeys()
        self._revoked: set[str] = set()
        for file in self.files:
            if file.exists():
                self._revoke(file)
        self._kept = {file: self._load(file) for file in self.files if file.exists()}

    def trust(self, client: SSHClient, name: str) -> None:
        """Give `client` the keys known for `name`, which also lead it to ask the host for one of their types."""
        with self._lock:
            known = self._keys.lookup(name)
            for kind, key in known.items() if known else ():
                client.get_host_keys().add(name, kind, key)

    def keeper(self, name: str) -> Path | None:
        """The first file that has a key for `name`."""
        with self._lock:
            return next((file for file, keys in self._kept.items() if keys.lookup(name)), None)

    def accept(self, name: str, key: PKey) -> None:
        """Remember a key that was not known yet, in the first of the files."""
        line = f"{name} {key.get_name()} {key.get_base64()}\n"
        with self._lock:
            self._keys.add(name, key.get_name(), key)
            self.files[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.files[0].open("a+", encoding="utf-8", errors="surrogateescape") as file:
                file.seek(0)
                whole = file.read()
                file.write(line if whole.endswith("\n") or not whole else f"\n{line}")

    def refuse_revoked(self, key: PKey) -> None:
        """Raise RevokedHostKeyError if a line revokes the key, for whichever host."""
        if key.get_base64() in self._revoked:
            raise RevokedHostKeyError(key)

    def _revoke(self, file: Path) -> None:
        for text in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            match text.split():
                case ["@revoked", _names, _kind, key, *_comment]:
                    self._revoked.add(key)

    def _load(self, file: Path) -> HostKeys:
        """Lines that are no keys are passed over, as OpenSSH does; paramiko's own loading stops at some of them."""
        kept = HostKeys()
        for number, text in enumerate(file.read_text(encoding="utf-8", errors="surrogateescape").splitlines(), 1):
            with suppress(SSHException, InvalidHostKey):
                if text.strip() and (entry := HostKeyEntry.from_line(text.strip(), number)):
                    if entry.key.get_base64() in self._revoked:
                        continue
                    for name in entry.hostnames or ():
                        for keys in (kept, self._keys):
                            keys.add(name, entry.key.get_name(), entry.key)
        return kept


class Strict(MissingHostKeyPolicy):
    """Refuse a host whose key is not known."""

    def __init__(self, known: KnownHosts) -> None:
        self._known = known

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002
        """Raise UnknownHostKeyError, or RevokedHostKeyError."""
        self._known.refuse_revoked(key)
        raise UnknownHostKeyError(hostname, key)


class AcceptNew(MissingHostKeyPolicy):
    """Take and remember the key of a host seen for the first time, as OpenSSH's accept-new does."""

    def __init__(self, known: KnownHosts) -> None:
        self._known = known

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002
        """Write the key to known_hosts, unless it is revoked there."""
        self._known.refuse_revoked(key)
        self._known.accept(hostname, key)
