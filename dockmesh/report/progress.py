"""The progress of a run on stderr: a bar per phase on a terminal, a line per phase elsewhere, more for a slow phase."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dockmesh.core.events import CanariesDrawn, Event, HostFinished, Phase, PhaseStarted, WorkFinished, WorkStarted
from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize, spinner

_VERBS: dict[Phase, str] = {
    "read": "reading",
    "hold": "preparing",
    "change": "changing",
    "probe": "probing",
    "confirm": "confirming",
    "capture": "capturing",
    "look": "looking at",
}
# By host: the start time, the work and the spinner.
_Busy = dict[str, tuple[float, str, Spinner]]

_NAMED = 4
# The first line of a slow phase comes after this time. Each further line takes twice as long as the one before.
_SLOW_S = 10.0
_BUSY_SHOWN = 8
_WIDEST, _NARROWEST, _BESIDE = 40, 8, 54


class _Seconds(ProgressColumn):
    """The duration of the phase so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.elapsed or 0:5.1f} s")


class _Bars(Progress):
    """The bar, and below it a line for each busy host that fits the height. Hosts that started first come first."""

    def __init__(self, *columns: ProgressColumn, busy: _Busy, **settings: Any) -> None:
        self._busy = busy
        super().__init__(*columns, **settings)

    def get_renderables(self) -> Iterable[RenderableType]:
        """See `Progress`."""
        yield from super().get_renderables()
        if busy := sorted(self._busy.copy().items(), key=lambda each: each[1][0]):
            shown = busy[: max(1, min(_BUSY_SHOWN, self.console.height - 4))]
            yield _table(shown)
            if len(busy) > len(shown):
                yield Text(f"  … and {pluralize(len(busy) - len(shown), 'host')} more", style="dim")


def _table(busy: Iterable[tuple[str, tuple[float, str, Spinner]]]) -> Table:
    table = Table.grid(padding=(0, 1))
    for overflow, justify in (("crop", "left"), ("ellipsis", "left"), ("crop", "right"), ("ellipsis", "left")):
        table.add_column(overflow=overflow, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for host, (start, work, spin) in busy:
        table.add_row(spin, Text(host), Text(f"{time.monotonic() - start:5.1f} s"), Text(work, style="dim"))
    return table


class ProgressDisplay:
    """An event sink that shows the phase, how many of its hosts finished, and its busy hosts. A context manager.

    `order`: the names of the hosts in the order of the inventory, in which a phase names them.

    Without a terminal, a phase has a line at its end. A phase that takes longer than `slow_s` has lines meanwhile, at
    doubling intervals. WorkStarted and WorkFinished may come from any thread, all other events from one thread.
    """

    def __init__(self, err: Console, order: Iterable[str] = (), *, slow_s: float = _SLOW_S) -> None:
        self._err = err
        self._order = {host: position for position, host in enumerate(order)}
        self._slow_s = slow_s
        self._total = 0
        self._ended = threading.Event()
        self._ticker: threading.Thread | None = None
        self._busy: _Busy = {}
        self._progress = _Bars(
            SpinnerColumn(spinner(err)),
            TextColumn("{task.description}"),
            BarColumn(max(_NARROWEST, min(_WIDEST, err.width - _BESIDE))),
            TextColumn("{task.completed} of {task.total} hosts"),
            _Seconds(),
            TextColumn("{task.fields[failed]}", style="bold red"),
            busy=self._busy,
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._name = ""
        self._start_time = 0.0
        self._failed: dict[str, bool] = {}

    def __call__(self, event: Event) -> None:
        """Receive an event."""
        match event:
            case PhaseStarted(phase, hosts):
                self._start(_VERBS[phase], hosts)
            case HostFinished():
                self._finish(event)
            case WorkStarted(host, work):
                text = "logging in" if work == "login" else ""
                self._busy[host] = time.monotonic(), text, Spinner(spinner(self._err))
            case WorkFinished(host):
                self._busy.pop(host, None)
            case CanariesDrawn(pairs, seed):
                many = pluralize(len(pairs), "random pair")
                self._err.print(Text(f"also probing {many} that the change does not affect, seed {seed}", style="dim"))
            case _:
                pass

    def _start(self, name: str, hosts: int) -> None:
        self._name, self._start_time, self._failed = name, time.monotonic(), {}
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(name, total=hosts, failed="")
        self._total = hosts
        self._stop_ticker()
        if hosts:
            self._progress.start()
        if hosts and not self._err.is_terminal:
            self._ended.clear()
            ticker = threading.Thread(target=self._tick, daemon=True)
            ticker.start()
            # Ctrl-C during the start leaves a thread that cannot be joined.
            self._ticker = ticker

    def _finish(self, event: HostFinished) -> None:
        self._failed[event.host] = event.error is not None
        failed = sum(self._failed.values())
        for task in self._progress.task_ids:
            self._progress.update(task, completed=event.position, failed=f"{failed} failed" if failed else "")
        if event.position == event.total:
            self._progress.stop()
            self._stop_ticker()
            finished = f"{self._name} {self._count()}, {self._hosts()}"
            self._err.print(Text(f"{finished}: {time.monotonic() - self._start_time:.1f} s"))

    def _tick(self) -> None:
        """Print the state of a phase without a terminal, until it ends."""
        interval_s = self._slow_s
        while not self._ended.wait(interval_s):
            interval_s *= 2
            busy = [host for host, _ in sorted(self._busy.copy().items(), key=lambda each: each[1][0])]
            waiting = f"waiting for {listed(busy, _NAMED)}" if busy else "waiting"
            took_s = time.monotonic() - self._start_time
            # A line that starts with the phase means its end.
            self._err.print(Text(f"still {self._name} after {took_s:.1f} s, {self._count()} finished, {waiting}"))

    def _stop_ticker(self) -> None:
        self._ended.set()
        if self._ticker:
            self._ticker.join()
        self._ticker = None

    def _count(self) -> str:
        return f"{len(self._failed)} of {pluralize(self._total, 'host')}"

    def _hosts(self) -> str:
        hosts = sorted(self._failed, key=lambda host: (not self._failed[host], self._order.get(host, 0)))
        return listed([f"{host} (failed)" if self._failed[host] else host for host in hosts], _NAMED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._stop_ticker()
