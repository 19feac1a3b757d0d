"""The sessions of a run: one per host, opened at its first use and kept for the phases that follow."""

import threading
from types import TracebackType
from typing import Self

from dockmesh.core.model import Host
from dockmesh.remote.transport import Session, Transport


class Sessions:
    """Opens and keeps a session per host. A host is served by one thread at a time; different hosts by many."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def open(self, host: Host) -> Session:
        """The open session with `host`; logs in where there is none.

        Raises:
            UnreachableError: the login failed.
        """
        with self._lock:
            session = self._open.get(host.name)
        # Between two phases a person may think for longer than the host keeps an idle login.
        if session is None or not session.alive():
            if session is not None:
                session.close()
            session = self._transport.connect(host)
            with self._lock:
                self._open[host.name] = session
        return session

    def close(self) -> None:
        """End all sessions; a thread still busy in one gets an UnreachableError."""
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
