"""The event log: a JSON Lines file with the events of a run."""

import json
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from dockmesh.core.events import Event, HostFinished, OutcomeReported, PhaseStarted, WorkFinished
from dockmesh.report.redaction import redact

_ERROR_CHARACTERS = 500
_BYTES = 64 << 20


class EventLog:
    """An event sink that appends to `file` (mode 0600), up to 64 MiB per run. A context manager, safe for threads.

    Each line has time (UTC), event, host, phase, seconds, status and error; null if not applicable. Events: begin,
    phase, login, script, done (a host finished the phase), outcome (of a host in the plan), end.
    An error such as a full disk stops the log but not the run. `broken` has the reason.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """

    def __init__(self, file: Path, verb: str) -> None:
        self.broken = ""
        self._closed = False
        self._lock = Lock()
        self._phase, self._left = verb, _BYTES
        self._began = self._phase_began = time.monotonic()
        self._number = _opened(file)

    def __call__(self, event: Event) -> None:
        """Write the event to the log."""
        match event:
            case PhaseStarted(phase, hosts):
                self._phase, self._phase_began = phase, time.monotonic()
                self._write("phase", status=f"{hosts} to do")
            case HostFinished(host=host, error=error):
                self._write("done", host, seconds=time.monotonic() - self._phase_began, error=error)
            case OutcomeReported(host, status, error=error):
                self._write("outcome", host, seconds=time.monotonic() - self._began, status=status, error=error)
            case WorkFinished(host, work, seconds, error):
                self._write(work, host, seconds=seconds, error=error)
            case _:
                pass

    def _write(
        self,
        event: str,
        host: str | None = None,
        *,
        seconds: float | None = None,
        status: str | None = None,
        error: str | None = None,
    ) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "host": host,
            "phase": self._phase,
            "seconds": None if seconds is None else round(seconds, 3),
            "status": status or ("failed" if error else "ok"),
            "error": redact(error)[:_ERROR_CHARACTERS] if error else None,
        }
        content = (json.dumps(line) + "\n").encode()
        with self._lock:
            self._append(content)

    def _append(self, content: bytes) -> None:
        self._left -= len(content)
        if self._left < 0:
            self.broken = self.broken or f"limit of {_BYTES >> 20} MiB reached"
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
        message = None if error is None else str(error) or type(error).__name__
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else None
        self._write("end", seconds=time.monotonic() - self._began, status=status, error=message)
        # After an interrupt, threads can still send events.
        with self._lock:
            self._closed = True
            os.close(self._number)


def _opened(file: Path) -> int:
    number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    if stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, 0o600)
        return number
    os.close(number)
    raise OSError(None, "not a regular file")
