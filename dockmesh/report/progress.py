"""How a run goes on, on stderr: a bar per phase where that is a terminal, a line per phase where not."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from dockmesh.core.inventory.wording import listed

_WORDS = {
    "read": "reading",
    "change": "changing",
    "probe": "probing",
    "confirm": "confirming",
    "capture": "capturing",
    "look": "looking at",
}
_NAMED = 4


class Display:
    """An observer of the pipeline that people can watch; it shows nothing between phases. A context manager."""

    def __init__(self, err: Console) -> None:
        self._err = err
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}"),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._task: TaskID | None = None
        self._name = ""
        self._left = 0
        self._began = 0.0
        self._failed: dict[str, bool] = {}

    def phase(self, name: str, hosts: int) -> None:
        """See `pipeline.Observer`."""
        self._name, self._left, self._began = _WORDS.get(name, name), hosts, time.monotonic()
        self._failed = {}
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(self._name, total=hosts, last="")
        if hosts:
            self._progress.start()

    def done(self, host: str, error: str | None) -> None:
        """See `pipeline.Observer`."""
        self._left -= 1
        self._failed[host] = self._failed.get(host, False) or error is not None
        if self._task is not None:
            self._progress.update(self._task, advance=1, last=f"{host}: failed" if error else host)
        if self._left == 0:
            self._progress.stop()
            self._err.print(f"{self._name} {self._hosts()}: {time.monotonic() - self._began:.1f} s")

    def _hosts(self) -> str:
        names = [f"{host} (failed)" if failed else host for host, failed in sorted(self._failed.items())]
        return listed(sorted(names, key=lambda name: not name.endswith(")")), _NAMED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
