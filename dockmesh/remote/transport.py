"""How a host is reached: the seam the rest of dockmesh sees, whatever carries it."""

from typing import Protocol

from dockmesh.core.model import Host


class HeldScript(Protocol):
    """A script that has answered in part and goes on when it is let go, or with the end of the session."""

    @property
    def output(self) -> str:
        """Its answer so far."""

    def release(self, *, timeout_s: float) -> str:
        """End its stdin, and return what it writes from then on. Raises as `Session.run`."""


class Session(Protocol):
    """An open login on one host."""

    def run(self, script: str, *, timeout_s: float) -> str:
        """Run a POSIX shell script as root and return what it wrote, stdout and stderr as they came.

        Raises:
            UnreachableError: the session was lost, or the script took longer than `timeout_s`.
            HostError: the host's shell or sudo refused, or the answer was larger than it may be.
        """

    def hold(self, script: str, *, timeout_s: float) -> HeldScript:
        """As `run`, but return as soon as the script has written the line `sections.HELD`; others may run meanwhile."""

    def alive(self) -> bool:
        """Whether the login still stands, as far as this end knows."""

    def close(self) -> None:
        """End the login; harmless where it has ended."""


class Transport(Protocol):
    """Opens sessions. One object serves a whole run, from many threads."""

    def connect(self, host: Host) -> Session:
        """Log in on `host`.

        Raises:
            UnreachableError: no session came about; the text names cause and remedy.
        """
