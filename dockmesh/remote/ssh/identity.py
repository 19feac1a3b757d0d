"""The keys offered to a host, in the order of OpenSSH."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paramiko import AuthenticationException, PasswordRequiredException, PKey, Transport

from dockmesh.remote.ssh.keys import Keys, agent_keys, certified, public

_DEFAULTS = tuple(Path("~/.ssh", name) for name in ("id_rsa", "id_ecdsa", "id_ed25519"))
_SSH_PORT = 22


class LoginRefusedError(AuthenticationException):
    """The host accepted none of the keys.

    `offered`: names of the keys, in the order in which they were offered. `file`: the first key file. `more`: the
    methods that the host requires after the last key.
    """

    def __init__(
        self, identity: "Identity", offered: Sequence[str], *, file: Path | None, more: Sequence[str] = ()
    ) -> None:
        self.user, self.host, self.port = identity.user, identity.host, identity.port
        self.offered = tuple(offered)
        self.file = file
        self.more = tuple(more)
        super().__init__(f"{self.host} rejected {self.user} with {len(self.offered)} keys")


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A key, with the file that it was read from. None: the agent holds it."""

    key: PKey
    file: Path | None

    @property
    def name(self) -> str:
        """The key for messages."""
        if self.file:
            return f"key {self.file}" + (" with its certificate" if self.key.public_blob else "")
        return f"key {self.key.fingerprint} of the agent"


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys that log `user` in on `host`; an AuthStrategy of paramiko.

    `files`: the keys that the inventory or ~/.ssh/config name. With `only`, the agent offers no other keys.
    """

    keys: Keys = field(repr=False)
    user: str
    host: str = ""
    port: int = _SSH_PORT
    files: Sequence[Path] = ()
    certificates: Sequence[Path] = ()
    only: bool = False

    def authenticate(self, transport: Transport) -> None:
        """Offer one key after the other.

        Raises:
            paramiko.PasswordRequiredException: no key was accepted, and a locked key was not offered.
            LoginRefusedError: no key was accepted.
            paramiko.SSHException: the connection was lost.
        """
        offered: list[OfferedKey] = []
        more: Sequence[str] = ()
        for each in self.offered():
            offered.append(each)
            try:
                more = transport.auth_publickey(self.user, each.key)
            except AuthenticationException:
                if not transport.is_active():
                    raise
                continue
            if not more:
                return
            break
        if locked := [str(file) for file in self._existing() if self.keys.of(file) is None]:
            raise PasswordRequiredException(", ".join(locked))
        file = next((each.file for each in offered if each.file), None)
        raise LoginRefusedError(self, [each.name for each in offered], file=file, more=more)

    def offered(self) -> Iterator[OfferedKey]:
        """The named files, then the agent's keys. Without named files, the agent's keys precede the default files."""
        if self.files:
            yield from self._of_files()
            yield from self._of_agent()
        else:
            yield from self._of_agent()
            yield from self._of_files()

    def _of_files(self) -> Iterator[OfferedKey]:
        for file in self._existing():
            if key := self.keys.of(file):
                beside = Path(f"{file}-cert.pub")
                certificates = filter(None, (certified(key, each) for each in (*self.certificates, beside)))
                yield from (OfferedKey(each, file) for each in (*certificates, key))

    def _of_agent(self) -> Iterator[OfferedKey]:
        named = {public(file) for file in self._existing()} if self.only else None
        for key in agent_keys():
            if named is None or key.asbytes() in named:
                yield OfferedKey(key, None)

    def _existing(self) -> list[Path]:
        named = self.files or _DEFAULTS
        return [file for file in (each.expanduser() for each in named) if file.is_file()]
