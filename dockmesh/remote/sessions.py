"""The sessions of a run: one per host, opened at its first use and shared by later phases."""

import threading
from types import TracebackType
from typing import Self

from dockmesh.core.model import Host
from dockmesh.remote.transport import Session, Transport


class Sessions:
    """Opens one session per host. Threads may use different hosts in parallel, but not the same host."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def open(self, host: Host) -> Session:
        """Return the open session with `host`, or log in.

        Raises:
            UnreachableError: the login failed.
        """
        with self._lock:
            session = self._open.get(host.name)
        # A host may close an idle session while the operator reads the plan.
        if session is None or not session.alive():
            if session is not None:
                session.close()
            session = self._transport.connect(host)
            with self._lock:
                self._open[host.name] = session
        return session

    def close(self) -> None:
        """Close all sessions. A thread that is still busy in one receives an UnreachableError."""
        with self._lock:
            sessions = tuple(self._open.values())
            self._open.clear()
        for session in sessions:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
