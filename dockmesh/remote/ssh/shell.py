"""The root shell that runs scripts on a host, through sudo where the inventory sets `become`."""

import time
from typing import Self

from paramiko import Channel

from dockmesh.core.host_output import sanitize
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError
from dockmesh.remote.ssh.secret import Secret

# A fixed prompt is independent of the language of the host. The password is sent only after this prompt.
_PROMPT = b"dockmesh:password:"
_READY = b"dockmesh:ready\n"
_WITH_PASSWORD = "sudo -S -p dockmesh:password: sh -c 'echo dockmesh:ready; exec sh -s'"  # noqa: S105 - a command
_WITHOUT_PASSWORD = "sudo -n sh -s"  # noqa: S105 - a command
# The lecture of sudo has a few hundred bytes. Each byte is compared with all before it.
_PRELUDE_BYTES = 1 << 13


class Shell:
    """The command of the shell, and the login to sudo. A password that sudo rejected is not sent a second time."""

    def __init__(self, command: str, password: Secret | None) -> None:
        self.command = command
        self._password = password
        self._rejected = False

    @classmethod
    def of(cls, become: str, password: Secret | None) -> Self:
        """The shell for a value of `become` in the inventory."""
        if become == "none":
            return cls("sh -s", None)
        return cls(_WITH_PASSWORD, password) if password else cls(_WITHOUT_PASSWORD, None)

    def check(self, answer: str) -> str:
        """Return the output of a script.

        Raises:
            HostError: the output is an error of sudo, which did not run the script.
        """
        if self.command == _WITHOUT_PASSWORD and answer.startswith("sudo:") and "\n@" not in answer:
            wants_password = "password" in answer
            remedy = (
                "run the command with -K, which asks for the password of sudo"
                if wants_password
                else "allow the user to run sh in /etc/sudoers"
            )
            raise HostError(
                f"{sanitize(answer)}. Fix: {remedy}",
                code=HostErrorCode.SUDO_PASSWORD if wants_password else HostErrorCode.SUDO_REFUSED,
            )
        return answer

    def enter(self, channel: Channel, deadline: float) -> None:
        """Log in to sudo. Afterwards the shell reads from the channel, which has only output of the script.

        Raises:
            HostError: sudo rejected the login.
            TimeoutError: sudo did not answer in time.
        """
        if self._password is None:
            return
        if self._rejected:
            raise HostError(
                "sudo rejected the password before. It is not sent twice. Fix: run the command again with -K",
                code=HostErrorCode.SUDO_PASSWORD_WRONG,
            )
        output, sent = bytearray(), False
        while not output.endswith(_READY):
            prompts = output.count(_PROMPT)
            if prompts and not sent:
                channel.sendall(self._password.reveal() + b"\n")
                sent = True
            self._rejected = prompts > 1
            if self._rejected:
                raise HostError(
                    "sudo rejected the password, which was sent once. Fix: run the command again with -K",
                    code=HostErrorCode.SUDO_PASSWORD_WRONG,
                )
            output += _next_byte(channel, bytes(output), deadline)


def _next_byte(channel: Channel, before: bytes, deadline: float) -> bytes:
    channel.settimeout(max(0.001, deadline - time.monotonic()))
    # Byte by byte, because output of the script may follow, which must remain in the channel.
    chunk = channel.recv(1)
    if not chunk or len(before) > _PRELUDE_BYTES:
        output = sanitize(before.replace(_PROMPT, b"").decode(errors="replace")) or "nothing"
        raise HostError(
            f"sudo rejected the login and printed: {output}. Fix: allow the user to run sh in /etc/sudoers",
            code=HostErrorCode.SUDO_REFUSED,
        )
    return chunk
