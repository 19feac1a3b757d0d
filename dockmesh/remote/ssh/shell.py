"""The shell that scripts run in on a host: root's, by sudo if need be, and sudo's password if it wants one."""

import time
from typing import Self

from paramiko import Channel

from dockmesh.core.host_output import sanitize
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError
from dockmesh.remote.ssh.secret import Secret

# sudo's prompt tells, in any language, whether a password is wanted; what is not asked for is never sent.
_PROMPT = b"dockmesh:password:"
_READY = b"dockmesh:ready\n"
_WITH_PASSWORD = "sudo -S -p dockmesh:password: sh -c 'echo dockmesh:ready; exec sh -s'"  # noqa: S105 - a command
_WITHOUT_PASSWORD = "sudo -n sh -s"  # noqa: S105 - a command
_PRELUDE_BYTES = 1 << 16


class Shell:
    """How the shell of one session is started and entered. A password that sudo refused is not sent a second time."""

    def __init__(self, command: str, password: Secret | None) -> None:
        self.command = command
        self._password = password
        self._refused = False

    @classmethod
    def of(cls, become: str, password: Secret | None) -> Self:
        """The shell for `become` as the inventory says it."""
        if become == "none":
            return cls("sh -s", None)
        return cls(_WITH_PASSWORD, password) if password else cls(_WITHOUT_PASSWORD, None)

    def check(self, answer: str) -> str:
        """The answer of a script.

        Raises:
            HostError: it is sudo's own, which let no script run.
        """
        if self.command == _WITHOUT_PASSWORD and answer.startswith("sudo:") and "\n@" not in answer:
            wants_password = "password" in answer
            raise HostError(
                f"{sanitize(answer)}: where sudo wants a password, -K asks for it",
                code=HostErrorCode.SUDO_PASSWORD if wants_password else HostErrorCode.SUDO_REFUSED,
            )
        return answer

    def enter(self, channel: Channel, deadline: float) -> None:
        """Get past sudo, so that what the channel takes next is the shell's and what it says next is the script's.

        Raises:
            HostError: sudo does not let us in.
            TimeoutError: it did not answer in time.
        """
        if self._password is None:
            return
        if self._refused:
            raise HostError(
                "sudo refused the password before, and was not asked again", code=HostErrorCode.SUDO_PASSWORD_WRONG
            )
        said, sent = bytearray(), False
        while not said.endswith(_READY):
            asked = said.count(_PROMPT)
            if asked and not sent:
                channel.sendall(self._password.reveal() + b"\n")
                sent = True
            self._refused = asked > 1
            if self._refused:
                raise HostError("sudo refuses the password; it was tried once", code=HostErrorCode.SUDO_PASSWORD_WRONG)
            said += _heard(channel, said, deadline)


def _heard(channel: Channel, before: bytearray, deadline: float) -> bytes:
    channel.settimeout(max(0.001, deadline - time.monotonic()))
    # By single bytes: what follows is the script's answer, and not for this.
    chunk = channel.recv(1)
    if not chunk or len(before) > _PRELUDE_BYTES:
        said = sanitize(bytes(before).replace(_PROMPT, b"").decode(errors="replace")) or "nothing"
        raise HostError(f"sudo does not let us in, and says: {said}", code=HostErrorCode.SUDO_REFUSED)
    return chunk
