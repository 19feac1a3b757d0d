"""Host keys: the lines of known_hosts, and the policies for a key without a line.

No policy accepts a changed key.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from paramiko import HostKeys, MissingHostKeyPolicy, PKey, SSHClient
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from paramiko.ssh_exception import SSHException

_MARKED = re.compile(r"(@\S+)[ \t]+(.*)")
_REVOKED, _AUTHORITY = "@revoked", "@cert-authority"
_HASHED = "|1|"


class UnknownHostKeyError(SSHException):
    """known_hosts has no line for the key of the host.

    `scanned`: the name under which the host was contacted, where `name` is an alias. `authority`: the line that trusts
    a certificate authority for the host; dockmesh cannot verify certificates. `file`: the file for new lines.
    """

    def __init__(
        self,
        name: str,
        key: PKey,
        scanned: str | None = None,
        authority: "KnownHostsLine | None" = None,
        file: Path | None = None,
    ) -> None:
        self.name = name
        self.key = key
        self.scanned = scanned or name
        self.authority = authority
        self.file = file
        super().__init__(f"unknown host key {key.fingerprint}")


class RevokedHostKeyError(SSHException):
    """known_hosts revokes the key of the host."""

    def __init__(self, name: str, key: PKey, line: "KnownHostsLine") -> None:
        self.name = name
        self.key = key
        self.line = line
        super().__init__(f"revoked host key {key.fingerprint}")


@dataclass(frozen=True, slots=True)
class KnownHostsLine:
    """A line of a known_hosts file, with its file and its line number."""

    file: Path
    number: int
    names: tuple[str, ...]
    key: PKey
    marker: str | None = None

    def covers(self, name: str) -> bool:
        """Whether a name, pattern or hash of the line matches `name`, and no exception does."""
        patterns = [each for each in self.names if not each.startswith("!")]
        exceptions = [each[1:] for each in self.names if each.startswith("!")]
        return any(_matches(name, each) for each in patterns) and not any(_matches(name, each) for each in exceptions)

    @property
    def plain(self) -> bool:
        """Whether the line has no patterns and no hashes."""
        return not any(set("*?!") & set(each) or each.startswith(_HASHED) for each in self.names)


class KnownHosts:
    """The known_hosts files of a run, each read once, shared by all connections."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self._lock = threading.Lock()
        self._by_name: dict[str, list[KnownHostsLine]] = defaultdict(list)
        self._by_pattern: list[KnownHostsLine] = []
        for file in self.files:
            if file.exists():
                self._load(file)

    def trust(self, client: SSHClient, name: str, known_as: str | None = None) -> None:
        """Give `client` the known keys of `name`. It then asks the host for a key of one of their types.

        `known_as`: the name of the host in known_hosts, where it is a different one.
        """
        lines = self._lines_of(known_as or name)
        revoked = {line.key.asbytes() for line in lines if line.marker == _REVOKED}
        for line in lines:
            kind = line.key.get_name()
            unlisted = kind not in (client.get_host_keys().lookup(name) or {})
            if line.marker is None and unlisted and line.key.asbytes() not in revoked:
                client.get_host_keys().add(name, kind, line.key)

    def line_for(self, name: str, key: PKey | None = None) -> KnownHostsLine | None:
        """The first line with a key for `name`. With `key`, the first line with that key."""
        lines = (line for line in self._lines_of(name) if line.marker is None)
        return next((line for line in lines if key is None or line.key == key), None)

    def rejection(self, name: str, key: PKey, scanned: str) -> SSHException | None:
        """The error for a key without a line of its own. None where the key is new and a policy may accept it."""
        for line in self._lines_of(name):
            if line.marker == _REVOKED and line.key == key:
                return RevokedHostKeyError(name, key, line)
            if line.marker == _AUTHORITY:
                return UnknownHostKeyError(name, key, scanned, line, self.file)
        return None

    @property
    def file(self) -> Path | None:
        """The file to which new keys are added. None where there are no files."""
        return self.files[0] if self.files else None

    def accept(self, name: str, key: PKey) -> None:
        """Trust a new key, and add it to the first of the files."""
        line = f"{name} {key.get_name()} {key.get_base64()}\n"
        with self._lock:
            self._by_name[name.lower()].append(KnownHostsLine(self.files[0], 0, (name,), key))
            self.files[0].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.files[0].open("a+", encoding="utf-8", errors="surrogateescape") as file:
                file.seek(0)
                content = file.read()
                file.write(line if content.endswith("\n") or not content else f"\n{line}")

    def _lines_of(self, name: str) -> list[KnownHostsLine]:
        with self._lock:
            lines = [*self._by_name.get(name.lower(), ()), *(line for line in self._by_pattern if line.covers(name))]
        order = {file: at for at, file in enumerate(self.files)}
        return sorted(lines, key=lambda line: (order[line.file], line.number))

    def _load(self, file: Path) -> None:
        for line in _lines(file):
            if not line.plain:
                self._by_pattern.append(line)
                continue
            for name in line.names:
                self._by_name[name.lower()].append(line)


def _lines(file: Path) -> Iterator[KnownHostsLine]:
    """The lines with keys. Other lines are skipped, as in OpenSSH. paramiko's own parser stops at some of them."""
    for number, text in enumerate(file.read_text(encoding="utf-8", errors="surrogateescape").splitlines(), 1):
        marked = _MARKED.fullmatch(text.strip())
        marker, rest = (marked[1], marked[2]) if marked else (None, text.strip())
        with suppress(SSHException, InvalidHostKey):
            if rest and not rest.startswith("#") and (entry := HostKeyEntry.from_line(" ".join(rest.split()), number)):
                yield KnownHostsLine(file, number, tuple(entry.hostnames or ()), entry.key, marker)


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith(_HASHED):
        with suppress(ValueError, AssertionError, IndexError):
            return HostKeys.hash_host(name, pattern) == pattern
        return False
    # In OpenSSH's patterns only * and ? are special: [h]:22 is a name.
    return fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


class StrictPolicy(MissingHostKeyPolicy):
    """Reject unknown keys. `known_as`: the name of the host in known_hosts, where it is a different one."""

    def __init__(self, known: KnownHosts, known_as: str | None = None) -> None:
        self._known = known
        self._known_as = known_as

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002
        """Raise UnknownHostKeyError, or RevokedHostKeyError."""
        name = self._known_as or hostname
        raise self._known.rejection(name, key, hostname) or UnknownHostKeyError(
            name, key, hostname, file=self._known.file
        )


class AcceptNewPolicy(MissingHostKeyPolicy):
    """Accept the key of a host without any known key, as OpenSSH's accept-new does, and write it to known_hosts."""

    def __init__(self, known: KnownHosts, known_as: str | None = None) -> None:
        self._known = known
        self._known_as = known_as

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002
        """Write the key to known_hosts. Raise RevokedHostKeyError for a revoked key."""
        name = self._known_as or hostname
        rejection = self._known.rejection(name, key, hostname)
        if isinstance(rejection, RevokedHostKeyError):
            raise rejection
        self._known.accept(name, key)
