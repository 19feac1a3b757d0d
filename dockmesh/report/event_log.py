"""The log of a run in JSON Lines."""

import json
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from dockmesh.core.events import CanariesDrawn, Event, HostFinished, OutcomeReported, PhaseStarted, WorkFinished
from dockmesh.report.redaction import redact

_ERROR_CHARACTERS = 500
_BYTES = 64 << 20


class EventLog:
    """An event sink that appends to `file`, with mode 0600 and at most 64 MiB a run. A context manager.

    A line has time (UTC), event, host, phase, seconds, status and error, or null for each. Events: begin,
    phase, login, script, done (a host finished the phase), outcome (of a host in the plan), warning (of an
    outcome), canaries (random pairs that are probed too), end.
    A full disk ends the log but not the run. `broken` then has the reason. Safe for threads.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """

    def __init__(self, file: Path, verb: str) -> None:
        self.broken = ""
        self._closed = False
        self._lock = Lock()
        self._phase, self._remaining = verb, _BYTES
        self._start = self._phase_start = time.monotonic()
        self._number = _open(file)

    def __call__(self, event: Event) -> None:
        """Receive an event."""
        match event:
            case PhaseStarted(phase, hosts):
                self._phase, self._phase_start = phase, time.monotonic()
                self._write("phase", status=f"{hosts} to do")
            case HostFinished(host=host, error=error):
                self._write("done", host, seconds=time.monotonic() - self._phase_start, error=error)
            case OutcomeReported(host, status, error=error, warnings=warnings):
                seconds = time.monotonic() - self._start
                self._write("outcome", host, seconds=seconds, status=status, error=error)
                for each in warnings:
                    self._write("warning", host, seconds=seconds, status="warning", error=each)
            case WorkFinished(host, work, seconds, error):
                self._write(work, host, seconds=seconds, error=error)
            case CanariesDrawn(pairs, seed):
                self._write("canaries", status=f"{len(pairs)} random pairs, seed {seed}")
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
        self._remaining -= len(content)
        if self._remaining < 0:
            self.broken = self.broken or f"the log reached its limit of {_BYTES >> 20} MiB"
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
        self._write("end", seconds=time.monotonic() - self._start, status=status, error=message)
        # After an interrupt, the threads of hosts may still send events.
        with self._lock:
            self._closed = True
            os.close(self._number)


def _open(file: Path) -> int:
    number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
    if stat.S_ISREG(os.fstat(number).st_mode):
        os.fchmod(number, 0o600)
        return number
    os.close(number)
    raise OSError(None, "not a regular file")
