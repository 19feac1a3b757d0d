"""The root shell in which scripts run on a host, by sudo where needed, with its password where it wants one."""

import time
from typing import Self

from paramiko import Channel

from dockmesh.core.host_output import sanitize
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError
from dockmesh.remote.ssh.secret import Secret

# This prompt shows in any language that sudo wants a password. Without the prompt, none is sent.
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
        """The shell for the value of `become` in the inventory."""
        if become == "none":
            return cls("sh -s", None)
        return cls(_WITH_PASSWORD, password) if password else cls(_WITHOUT_PASSWORD, None)

    def check(self, answer: str) -> str:
        """Return the output of a script.

        Raises:
            HostError: the output is sudo's, which ran no script.
        """
        if self.command == _WITHOUT_PASSWORD and answer.startswith("sudo:") and "\n@" not in answer:
            wants_password = "password" in answer
            raise HostError(
                f"{sanitize(answer)}: where sudo wants a password, -K asks for it",
                code=HostErrorCode.SUDO_PASSWORD if wants_password else HostErrorCode.SUDO_REFUSED,
            )
        return answer

    def enter(self, channel: Channel, deadline: float) -> None:
        """Log in to sudo. Afterwards the shell reads from the channel, and all output is the script's.

        Raises:
            HostError: sudo rejected the login.
            TimeoutError: sudo did not answer in time.
        """
        if self._password is None:
            return
        if self._refused:
            raise HostError(
                "sudo refused the password before, and was not asked again", code=HostErrorCode.SUDO_PASSWORD_WRONG
            )
        output, sent = bytearray(), False
        while not output.endswith(_READY):
            prompts = output.count(_PROMPT)
            if prompts and not sent:
                channel.sendall(self._password.reveal() + b"\n")
                sent = True
            self._refused = prompts > 1
            if self._refused:
                raise HostError("sudo refuses the password; it was tried once", code=HostErrorCode.SUDO_PASSWORD_WRONG)
            output += _next_byte(channel, bytes(output), deadline)


def _next_byte(channel: Channel, before: bytes, deadline: float) -> bytes:
    channel.settimeout(max(0.001, deadline - time.monotonic()))
    # Byte by byte, because the output of the script follows and must stay in the channel.
    chunk = channel.recv(1)
    if not chunk or len(before) > _PRELUDE_BYTES:
        output = sanitize(before.replace(_PROMPT, b"").decode(errors="replace")) or "nothing"
        raise HostError(f"sudo does not let us in, and says: {output}", code=HostErrorCode.SUDO_REFUSED)
    return chunk
