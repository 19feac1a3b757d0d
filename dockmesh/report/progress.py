"""How a run goes on, on stderr: a bar per phase where that is a terminal, a line per phase where not."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize, spinner
from dockmesh.report.events import Listener

_WORDS = {
    "read": "reading",
    "change": "changing",
    "probe": "probing",
    "confirm": "confirming",
    "capture": "capturing",
    "look": "looking at",
}
# By host: since when, with what, and what turns beside it.
_Busy = dict[str, tuple[float, str, Spinner]]

_NAMED = 4
_BUSY_SHOWN = 8
_WIDEST, _NARROWEST, _BESIDE = 40, 8, 46


class _Seconds(ProgressColumn):
    """How long the phase takes so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.elapsed or 0:5.1f} s")


class _Bars(Progress):
    """The bar, and below it a line for each host that is busy: how long it will be, nobody knows."""

    def __init__(self, *columns: ProgressColumn, busy: _Busy, **settings: Any) -> None:
        self._busy = busy
        super().__init__(*columns, **settings)

    def get_renderables(self) -> Iterable[RenderableType]:
        """See `Progress`."""
        yield from super().get_renderables()
        if busy := sorted(self._busy.copy().items(), key=lambda each: each[1][0]):
            # Not more than there is room for; those that have been at it for longest first.
            shown = busy[: max(1, min(_BUSY_SHOWN, self.console.height - 4))]
            yield _table(shown)
            if len(busy) > len(shown):
                yield Text(f"  … and {pluralize(len(busy) - len(shown), 'host')} more", style="dim")


def _table(busy: Iterable[tuple[str, tuple[float, str, Spinner]]]) -> Table:
    table = Table.grid(padding=(0, 1))
    for overflow, justify in (("crop", "left"), ("ellipsis", "left"), ("crop", "right"), ("ellipsis", "left")):
        table.add_column(overflow=overflow, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for host, (began, work, turning) in busy:
        table.add_row(turning, Text(host), Text(f"{time.monotonic() - began:5.1f} s"), Text(work, style="dim"))
    return table


class ProgressDisplay(Listener):
    """A run that people can watch; it shows nothing between phases. A context manager."""

    def __init__(self, err: Console) -> None:
        self._err = err
        self._busy: _Busy = {}
        self._progress = _Bars(
            SpinnerColumn(spinner(err)),
            TextColumn("{task.description}"),
            BarColumn(max(_NARROWEST, min(_WIDEST, err.width - _BESIDE))),
            MofNCompleteColumn(),
            _Seconds(),
            TextColumn("{task.fields[failed]}", style="bold red"),
            busy=self._busy,
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._name = ""
        self._left = 0
        self._began = 0.0
        self._failed: dict[str, bool] = {}

    def phase(self, name: str, hosts: int) -> None:
        """See `Listener`."""
        self._name, self._left, self._began = _WORDS.get(name, name), hosts, time.monotonic()
        self._failed = {}
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(self._name, total=hosts, failed="")
        if hosts:
            self._progress.start()

    def done(self, host: str, error: str | None) -> None:
        """See `Listener`."""
        self._left -= 1
        self._failed[host] = self._failed.get(host, False) or error is not None
        failed = sum(self._failed.values())
        for task in self._progress.task_ids:
            self._progress.update(task, advance=1, failed=f"{failed} failed" if failed else "")
        if self._left == 0:
            self._progress.stop()
            self._err.print(Text(f"{self._name} {self._hosts()}: {time.monotonic() - self._began:.1f} s"))

    def begun(self, host: str, work: str, script: str) -> None:  # noqa: ARG002
        """See `Listener`."""
        self._busy[host] = time.monotonic(), "logging in" if work == "login" else "", Spinner(spinner(self._err))

    def ended(self, host: str, work: str, seconds: float, error: str | None) -> None:  # noqa: ARG002
        """See `Listener`."""
        self._busy.pop(host, None)

    def _hosts(self) -> str:
        names = [f"{host} (failed)" if failed else host for host, failed in sorted(self._failed.items())]
        return listed(sorted(names, key=lambda name: not name.endswith(")")), _NAMED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
