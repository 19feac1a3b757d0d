"""Interface of the transport: logins on hosts, and scripts in their sessions."""

from typing import Protocol

from dockmesh.core.model import Host


class HeldScript(Protocol):
    """A script that waits after a part of its output, and then takes further scripts for the same shell.

    It ends at its release or at the end of the session. All methods raise the errors of `Session.run`.
    """

    @property
    def output(self) -> str:
        """The output until it was held."""

    def send(self, script: str, *, timeout_s: float) -> None:
        """Start a further script, which ends with `hold` of `templates/observe.sh`. Returns before the script ends."""

    def receive(self, *, timeout_s: float) -> str:
        """Wait until the shell is held again, and return the output of the script that was sent."""

    def release(self, *, timeout_s: float) -> str:
        """Close its stdin, and return the rest of its output."""


class Session(Protocol):
    """An open login on one host."""

    def run(self, script: str, *, timeout_s: float) -> str:
        """Run a POSIX shell script as root, and return its stdout and stderr in the order of arrival.

        Raises:
            UnreachableError: the session was lost, or the script took longer than `timeout_s`.
            HostError: sudo rejected the login, or the output was too large.
        """

    def hold(self, script: str, *, timeout_s: float) -> HeldScript:
        """As `run`, but return as soon as the script writes the line HELD_MARKER. Other scripts may run meanwhile."""

    def alive(self) -> bool:
        """Whether the session is open, as far as the controller knows."""

    def close(self) -> None:
        """Close the session. Closing it again has no effect."""


class Transport(Protocol):
    """Opens sessions. One object serves a whole run, from many threads."""

    def connect(self, host: Host) -> Session:
        """Log in on `host`.

        Raises:
            UnreachableError: the login failed. The message has the cause and the remedy.
        """
