"""A transport that emits an event when a login or a script starts and when it ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dockmesh.core.events import EventSink, Work, WorkFinished, WorkStarted
from dockmesh.core.model import Host
from dockmesh.remote.transport import HeldScript, Session, Transport


@dataclass(frozen=True, slots=True)
class ObservedSession:
    """A session that emits an event for each script; see `transport.Session`."""

    host: str
    inner: Session
    emit: EventSink

    def run(self, script: str, *, timeout_s: float) -> str:
        """See `transport.Session`."""
        with _observed(self.emit, self.host, "script", script):
            return self.inner.run(script, timeout_s=timeout_s)

    def hold(self, script: str, *, timeout_s: float) -> HeldScript:
        """See `transport.Session`. The events cover the script until it is held; its release emits none."""
        with _observed(self.emit, self.host, "script", script):
            return ObservedHeldScript(self.host, self.inner.hold(script, timeout_s=timeout_s), self.emit)

    def alive(self) -> bool:
        """See `transport.Session`."""
        return self.inner.alive()

    def close(self) -> None:
        """See `transport.Session`."""
        self.inner.close()


@dataclass(frozen=True, slots=True)
class ObservedHeldScript:
    """A held script that emits an event when it receives a further script; see `transport.HeldScript`."""

    host: str
    inner: HeldScript
    emit: EventSink

    @property
    def output(self) -> str:
        """See `transport.HeldScript`."""
        return self.inner.output

    def send(self, script: str, *, timeout_s: float) -> None:
        """See `transport.HeldScript`."""
        self.emit(WorkStarted(self.host, "script", script))
        self.inner.send(script, timeout_s=timeout_s)

    def receive(self, *, timeout_s: float) -> str:
        """See `transport.HeldScript`."""
        with _finished(self.emit, self.host, "script"):
            return self.inner.receive(timeout_s=timeout_s)

    def release(self, *, timeout_s: float) -> str:
        """See `transport.HeldScript`."""
        return self.inner.release(timeout_s=timeout_s)


@dataclass(frozen=True, slots=True)
class ObservedTransport:
    """A transport that emits an event for each login; see `transport.Transport`."""

    inner: Transport
    emit: EventSink

    def connect(self, host: Host) -> Session:
        """See `transport.Transport`."""
        with _observed(self.emit, host.name, "login"):
            return ObservedSession(host.name, self.inner.connect(host), self.emit)


@contextmanager
def _observed(emit: EventSink, host: str, work: Work, script: str = "") -> Iterator[None]:
    emit(WorkStarted(host, work, script))
    with _finished(emit, host, work):
        yield


@contextmanager
def _finished(emit: EventSink, host: str, work: Work) -> Iterator[None]:
    started, error = time.monotonic(), None
    try:
        yield
    except Exception as caught:
        error = str(caught) or type(caught).__name__
        raise
    finally:
        emit(WorkFinished(host, work, time.monotonic() - started, error))
