"""The progress of a run on stderr: a bar per phase on a terminal, a line per phase elsewhere."""

import re
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dockmesh.core.events import Event, HostFinished, Phase, PhaseStarted, WorkFinished, WorkStarted
from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize, spinner

_WORDS: dict[Phase, str] = {
    "read": "reading",
    "change": "changing",
    "probe": "probing",
    "confirm": "confirming",
    "capture": "capturing",
    "look": "looking at",
}
# By host: the start time, the work and the spinner.
_Busy = dict[str, tuple[float, str, Spinner]]

_NAMED = 4
_BUSY_SHOWN = 8
_WIDEST, _NARROWEST, _BESIDE = 40, 8, 46


class _Seconds(ProgressColumn):
    """The duration of the phase so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.elapsed or 0:5.1f} s")


class _Bars(Progress):
    """The bar, and below it a line for each busy host."""

    def __init__(self, *columns: ProgressColumn, busy: _Busy, **settings: Any) -> None:
        self._busy = busy
        super().__init__(*columns, **settings)

    def get_renderables(self) -> Iterable[RenderableType]:
        """See `Progress`."""
        yield from super().get_renderables()
        if busy := sorted(self._busy.copy().items(), key=lambda each: each[1][0]):
            # As many as there is room for, those that are busy for longest first.
            shown = busy[: max(1, min(_BUSY_SHOWN, self.console.height - 4))]
            yield _table(shown)
            if len(busy) > len(shown):
                yield Text(f"  … and {pluralize(len(busy) - len(shown), 'host')} more", style="dim")


def _table(busy: Iterable[tuple[str, tuple[float, str, Spinner]]]) -> Table:
    table = Table.grid(padding=(0, 1))
    for overflow, justify in (("crop", "left"), ("ellipsis", "left"), ("crop", "right"), ("ellipsis", "left")):
        table.add_column(overflow=overflow, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for host, (began, work, spin) in busy:
        table.add_row(spin, Text(host), Text(f"{time.monotonic() - began:5.1f} s"), Text(work, style="dim"))
    return table


class ProgressDisplay:
    """An event sink that shows the phase and its busy hosts, and nothing between phases. A context manager.

    Safe for threads, as WorkStarted and WorkFinished may come from many. All other events come from one thread.
    """

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
        self._began = 0.0
        self._failed: dict[str, bool] = {}

    def __call__(self, event: Event) -> None:
        """Receive an event."""
        match event:
            case PhaseStarted(phase, hosts):
                self._start(_WORDS[phase], hosts)
            case HostFinished():
                self._finish(event)
            case WorkStarted(host, work):
                text = "logging in" if work == "login" else ""
                self._busy[host] = time.monotonic(), text, Spinner(spinner(self._err))
            case WorkFinished(host):
                self._busy.pop(host, None)
            case _:
                pass

    def _start(self, name: str, hosts: int) -> None:
        self._name, self._began, self._failed = name, time.monotonic(), {}
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(name, total=hosts, failed="")
        if hosts:
            self._progress.start()

    def _finish(self, event: HostFinished) -> None:
        self._failed[event.host] = event.error is not None
        failed = sum(self._failed.values())
        for task in self._progress.task_ids:
            self._progress.update(task, completed=event.position, failed=f"{failed} failed" if failed else "")
        if event.position == event.total:
            self._progress.stop()
            self._err.print(Text(f"{self._name} {self._hosts()}: {time.monotonic() - self._began:.1f} s"))

    def _hosts(self) -> str:
        names = [f"{host} (failed)" if failed else host for host, failed in self._failed.items()]
        return listed(sorted(names, key=lambda name: (not name.endswith(")"), _natural(name))), _NAMED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def _natural(name: str) -> list[str | int]:
    """Sort host2 before host10, as inventories list them. Events do not carry the position of a host."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
