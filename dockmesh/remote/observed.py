"""A transport that tells of what goes over it: each login and each script, when it begins and what came of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from dockmesh.core.model import Host
from dockmesh.remote.transport import HeldScript, Session, Transport

Work = Literal["login", "script"]


class Listener(Protocol):
    """Hears, from many threads, what hosts are busy with; never of what carries the scripts, such as passwords."""

    def begun(self, host: str, work: Work, script: str) -> None:
        """A host is asked; the script is empty for a login."""

    def ended(self, host: str, work: Work, seconds: float, error: str | None) -> None:
        """It has answered, or not."""


@dataclass(frozen=True, slots=True)
class ObservedSession:
    """A session that tells; see `transport.Session`."""

    host: str
    carried: Session
    listener: Listener

    def run(self, script: str, *, timeout_s: float) -> str:
        """See `transport.Session`."""
        with _told(self.listener, self.host, "script", script):
            return self.carried.run(script, timeout_s=timeout_s)

    def hold(self, script: str, *, timeout_s: float) -> HeldScript:
        """See `transport.Session`. Of a script that is let go nothing is told any more."""
        with _told(self.listener, self.host, "script", script):
            return self.carried.hold(script, timeout_s=timeout_s)

    def alive(self) -> bool:
        """See `transport.Session`."""
        return self.carried.alive()

    def close(self) -> None:
        """See `transport.Session`."""
        self.carried.close()


@dataclass(frozen=True, slots=True)
class ObservedTransport:
    """A transport that tells; see `transport.Transport`."""

    carried: Transport
    listener: Listener

    def connect(self, host: Host) -> Session:
        """See `transport.Transport`."""
        with _told(self.listener, host.name, "login", ""):
            return ObservedSession(host.name, self.carried.connect(host), self.listener)


@contextmanager
def _told(listener: Listener, host: str, work: Work, script: str) -> Iterator[None]:
    began, error = time.monotonic(), None
    listener.begun(host, work, script)
    try:
        yield
    except Exception as caught:
        error = str(caught) or type(caught).__name__
        raise
    finally:
        listener.ended(host, work, time.monotonic() - began, error)
