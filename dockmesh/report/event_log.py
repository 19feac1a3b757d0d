"""What a run did and when, for machines: a JSON object per line."""

import json
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from dockmesh.report.events import Listener
from dockmesh.report.redaction import redact

_ERROR_CHARACTERS = 500
_BYTES = 64 << 20


class EventLog(Listener):
    """Appends to `file`, which is its owner's alone to read; no more than 64 MiB a run. A context manager.

    A line has time (UTC), event, host, phase, seconds, status and error, null where there is none. Events: begin,
    phase, login, script, done (a host is through the phase), outcome (of a host that should change), end.
    A disk that is full ends the log and not the run: `broken` says why.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """

    def __init__(self, file: Path, verb: str) -> None:
        self.broken = ""
        self._closed = False
        self._lock = Lock()
        self._phase, self._left = verb, _BYTES
        self._began = self._phase_began = time.monotonic()
        self._number = _opened(file)

    def phase(self, name: str, hosts: int) -> None:
        """See `Listener`."""
        self._phase, self._phase_began = name, time.monotonic()
        self._write("phase", status=f"{hosts} to do")

    def done(self, host: str, error: str | None) -> None:
        """See `Listener`."""
        self._write("done", host, seconds=time.monotonic() - self._phase_began, error=error)

    def outcome(self, host: str, status: str, error: str | None) -> None:
        """See `Listener`."""
        self._write("outcome", host, seconds=time.monotonic() - self._began, status=status, error=error)

    def ended(self, host: str, work: str, seconds: float, error: str | None) -> None:
        """See `Listener`."""
        self._write(work, host, seconds=seconds, error=error)

    def _write(self, event: str, host: str | None = None, **told: Any) -> None:
        error, seconds = told.get("error"), told.get("seconds")
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "host": host,
            "phase": self._phase,
            "seconds": None if seconds is None else round(seconds, 3),
            "status": told.get("status") or ("failed" if error else "ok"),
            "error": redact(error)[:_ERROR_CHARACTERS] if error else None,
        }
        content = (json.dumps(line) + "\n").encode()
        with self._lock:
            self._append(content)

    def _append(self, content: bytes) -> None:
        self._left -= len(content)
        if self._left < 0:
            self.broken = self.broken or f"it would be larger than {_BYTES >> 20} MiB"
        if self.broken or self._closed:
            return
        try:
            os.write(self._number, content)
        except OSError as error:
            self.broken = error.strerror or str(error)

    def __enter__(self) -> Self:
        self._write("begin")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told = None if error is None else str(error) or type(error).__name__
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else None
        self._write("end", seconds=time.monotonic() - self._began, status=status, error=told)
        # Threads of hosts that nothing cuts short may tell of them later.
        with self._lock:
            self._closed = True
            os.close(self._number)


def _opened(file: Path) -> int:
    number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    if stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, 0o600)
        return number
    os.close(number)
    raise OSError(None, "no regular file")
