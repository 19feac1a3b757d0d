"""The OpenSSH client configuration of the user and the machine.

paramiko parses it. This module adds Include, and skips Match blocks with criteria that paramiko does not know, because
paramiko would apply them to every host.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from io import StringIO
from pathlib import Path

from paramiko import SSHConfig
from paramiko.config import SSHConfigDict

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

USER = "~/.ssh/config"
FILES = (USER, "/etc/ssh/ssh_config")
# The limit of OpenSSH.
_MAX_DEPTH = 16
_CRITERIA = {"host", "originalhost", "user", "localuser", "exec"}
_FLAGS = {"all", "canonical", "final"}
# The values of these keys may contain a number sign.
_COMMANDS = {"proxycommand", "remotecommand", "localcommand", "knownhostscommand"}
# A login that works with ssh may fail without these options. dockmesh can ignore every other option safely.
_UNSUPPORTED = {
    "proxyusefdpass": "ProxyUseFdpass",
    "revokedhostkeys": "RevokedHostKeys",
    "identityagent": "IdentityAgent",
    "pkcs11provider": "PKCS11Provider",
    "securitykeyprovider": "SecurityKeyProvider",
    "knownhostscommand": "KnownHostsCommand",
    "bindaddress": "BindAddress",
    "bindinterface": "BindInterface",
}


class _Tokens(SSHConfig):
    """paramiko's parser, with tokens for more keys."""

    TOKENS_BY_CONFIG_KEY = {  # noqa: RUF012 - paramiko's own form
        **SSHConfig.TOKENS_BY_CONFIG_KEY,
        "userknownhostsfile": ["~", "%C", "%d", "%h", "%l", "%r", "%u"],
    }

    def __init__(self) -> None:
        super().__init__()
        self._options: dict[str, SSHConfigDict] = {}

    def lookup(self, hostname: str) -> SSHConfigDict:
        """As in paramiko, but evaluated once per host, because Match exec runs a program for each lookup."""
        if hostname not in self._options:
            self._options[hostname] = super().lookup(hostname)
        return SSHConfigDict(self._options[hostname])

    @property
    def lookups(self) -> tuple[SSHConfigDict, ...]:
        """The options of each host that was looked up."""
        return tuple(self._options.values())


@dataclass(frozen=True, slots=True)
class ConfiguredHost:
    """A host that a Host line names, with the file and line of its entry."""

    name: str
    file: str
    line: int


class SshConfig:
    """The configuration files, each read once. `entries`: the hosts that Host lines name, by name."""

    def __init__(self, files: Sequence[str] = FILES) -> None:
        """Read the files.

        Raises:
            UsageError: a file cannot be read or parsed.
        """
        self._unsupported_criteria: set[str] = set()
        self.entries: dict[str, ConfiguredHost] = {}
        self.parsed = _Tokens()
        for file in map(Path, files):
            text = "\n".join(self._lines(file.expanduser(), file.expanduser().parent, [], 0))
            self.parsed.parse(StringIO(text))

    def options(self, name: str) -> SSHConfigDict:
        """The options of a host. Keys are in lower case.

        Raises:
            paramiko.SSHException, ValueError, KeyError: the options cannot be evaluated.
        """
        return self.parsed.lookup(name)

    @property
    def unsupported(self) -> frozenset[str]:
        """Criteria of Match, and options of the hosts looked up so far, that dockmesh does not honour."""
        options = (name for lookup in self.parsed.lookups for name in _unsupported_options(lookup))
        return frozenset((*self._unsupported_criteria, *options))

    def _lines(self, file: Path, folder: Path, outer: list[str], depth: int) -> Iterator[str]:
        """The file's lines for paramiko, under the criteria `outer`, with included files in their place."""
        block, known = outer, True
        for number, line in enumerate(_text(file), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            key, value = _setting(line, f"{file}:{number}")
            if key in {"host", "match"}:
                criteria = self._criteria(key, value, f"{file}:{number}")
                known = criteria is not None
                self._add_entries(key, criteria or (), str(file), number)
                block = [*outer, *(criteria or ())]
                yield _header(block)
            elif key == "include" and known:
                if depth == _MAX_DEPTH:
                    raise UsageError(
                        f"{file}:{number}: Include is nested more than {_MAX_DEPTH} levels deep. Fix: remove the cycle",
                        code=UsageCode.BAD_SSH_CONFIG,
                    )
                for each in _included(value, folder, f"{file}:{number}"):
                    yield from self._lines(each, folder, block, depth + 1)
                yield _header(block)
            elif known:
                yield f"{key} {value}"

    def _add_entries(self, key: str, criteria: Sequence[str], file: str, line: int) -> None:
        """Add the hosts of a Host line to the entries. Patterns are not hosts."""
        for name in criteria[-1].split(",") if key == "host" and criteria else ():
            if not set("*?!") & set(name):
                self.entries.setdefault(name, ConfiguredHost(name, file, line))

    def _criteria(self, key: str, value: str, where: str) -> list[str] | None:
        """The criteria of a block in the syntax of Match. None for unknown criteria, whose block is skipped."""
        try:
            words = shlex.split(value, comments=True)
        except ValueError as error:
            raise UsageError(f"{where}: {value}: {error}", code=UsageCode.BAD_SSH_CONFIG) from error
        if key == "host":
            return ["originalhost", ",".join(words)]
        criteria: list[str] = []
        while words:
            word = words.pop(0)
            kind = word.lower().removeprefix("!")
            if kind not in _FLAGS | _CRITERIA or (kind in _CRITERIA and not words):
                self._unsupported_criteria.add(f"Match {kind} ({where})")
                return None
            if kind != "all":
                criteria += [word.lower(), *([words.pop(0)] if kind in _CRITERIA else [])]
        return criteria


def _unsupported_options(options: SSHConfigDict) -> Iterator[str]:
    return (option for key, option in _UNSUPPORTED.items() if options.get(key) not in {None, "none", "no"})


def _header(criteria: list[str]) -> str:
    return f"Match {shlex.join(criteria)}" if criteria else "Match all"


def _text(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", code=UsageCode.CANNOT_READ) from error


def _setting(line: str, where: str) -> tuple[str, str]:
    setting = SSHConfig.SETTINGS_REGEX.match(line.strip())
    if not setting:
        raise UsageError(
            f"{where}: {line.strip()}: not a setting. Fix: write KEY VALUE, or remove the line",
            code=UsageCode.BAD_SSH_CONFIG,
        )
    key, value = setting[1].lower(), setting[2]
    return key, value if key in _COMMANDS or '"' in value else re.sub(r"\s+#.*", "", value)


def _included(value: str, folder: Path, where: str) -> Iterator[Path]:
    try:
        patterns = [folder / Path(word).expanduser() for word in shlex.split(value)]
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{where}: Include {value}: {error}", code=UsageCode.BAD_SSH_CONFIG) from error
    for pattern in patterns:
        for name in sorted(glob(str(pattern))):  # noqa: PTH207 - absolute patterns
            if Path(name).is_file():
                yield Path(name)
