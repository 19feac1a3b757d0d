"""The interface between dockmesh and SSH: sessions with hosts, and scripts in them."""

from typing import Protocol

from dockmesh.core.model import Host


class HeldScript(Protocol):
    """A script that wrote part of its output, and continues when it is released or when the session ends."""

    @property
    def output(self) -> str:
        """The output so far."""

    def release(self, *, timeout_s: float) -> str:
        """Close its stdin, and return the rest of its output. Raises as `Session.run`."""


class Session(Protocol):
    """An open login on one host."""

    def run(self, script: str, *, timeout_s: float) -> str:
        """Run a POSIX shell script as root, and return its stdout and stderr in the order of arrival.

        Raises:
            UnreachableError: the session was lost, or the script took longer than `timeout_s`.
            HostError: the shell or sudo refused, or the output was too large.
        """

    def hold(self, script: str, *, timeout_s: float) -> HeldScript:
        """As `run`, but return when the script writes the line HELD_MARKER. Other scripts may run meanwhile."""

    def alive(self) -> bool:
        """Whether the session is open, as far as the controller knows."""

    def close(self) -> None:
        """End the session; harmless where it has ended."""


class Transport(Protocol):
    """Opens sessions. One object serves a whole run, from many threads."""

    def connect(self, host: Host) -> Session:
        """Log in on `host`.

        Raises:
            UnreachableError: the login failed; the text names cause and remedy.
        """
