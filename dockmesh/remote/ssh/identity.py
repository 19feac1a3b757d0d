"""The keys that are offered to a host, in the order of OpenSSH."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paramiko import AuthenticationException, PasswordRequiredException, PKey, Transport

from dockmesh.remote.ssh.keys import Keys, agent_keys, certified, public

_DEFAULTS = tuple(Path("~/.ssh", name) for name in ("id_rsa", "id_ecdsa", "id_ed25519"))


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys that log `user` in; an AuthStrategy of paramiko.

    `files`: the keys that the inventory or ~/.ssh/config name. With `only`, the agent offers no other keys.
    """

    keys: Keys = field(repr=False)
    user: str
    files: Sequence[Path] = ()
    certificates: Sequence[Path] = ()
    only: bool = False

    def authenticate(self, transport: Transport) -> None:
        """Offer one key after the other.

        Raises:
            paramiko.SSHException: no key was accepted; a PasswordRequiredException where a locked key was skipped.
        """
        refused = AuthenticationException("no key to log in with")
        for key in self.offered():
            try:
                wanted = transport.auth_publickey(self.user, key)
            except AuthenticationException as error:
                if not transport.is_active():
                    raise
                refused = error
                continue
            if not wanted:
                return
            refused = AuthenticationException("the host wants more than the key")
            break
        if locked := [str(file) for file in self._existing() if self.keys.of(file) is None]:
            raise PasswordRequiredException(", ".join(locked)) from refused
        raise refused

    def offered(self) -> Iterator[PKey]:
        """Keys of files, each with its certificates first, then the agent's. The agent's precede OpenSSH's defaults."""
        if self.files:
            yield from self._of_files()
            yield from self._of_agent()
        else:
            yield from self._of_agent()
            yield from self._of_files()

    def _of_files(self) -> Iterator[PKey]:
        for file in self._existing():
            if key := self.keys.of(file):
                beside = Path(f"{file}-cert.pub")
                yield from filter(None, (certified(key, each) for each in (*self.certificates, beside)))
                yield key

    def _of_agent(self) -> Iterator[PKey]:
        named = {public(file) for file in self._existing()} if self.only else None
        for key in agent_keys():
            if named is None or key.asbytes() in named:
                yield key

    def _existing(self) -> list[Path]:
        named = self.files or _DEFAULTS
        return [file for file in (each.expanduser() for each in named) if file.is_file()]
