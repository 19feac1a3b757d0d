"""Results for people: on a terminal with colour, else plain. What hosts say is never read as markup."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from difflib import unified_diff
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from dockmesh.core.facts import DAEMON_JSON
from dockmesh.core.model import Chain, File, Resource, Unit, key_of
from dockmesh.core.plan import Change, HostPlan, Outcome, Plan
from dockmesh.core.reach import Reachability, Report
from dockmesh.report.document import plan_document, shown

_SIGNS = {
    "add": ("+", "green"),
    "change": ("~", "yellow"),
    "remove": ("-", "red"),
    "restart": ("!", "magenta"),
}
_OUTCOMES = {"confirmed": "green", "unchanged": "dim"}
_MATRIX_HOSTS = 12
_FAILURES_SHOWN = 40
_DIFF_LINES = 24
_PLAIN_WIDTH = 10_000  # wide enough that nothing is folded
# Control codes, what turns the direction of writing, and half characters no stream can encode.
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Console(Console):
    """Shows what hosts say and nothing it would do to a terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Render as rich does, without control codes in the text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_UNSHOWN.sub("", segment.text), segment.style)


def console(stream: TextIO = sys.stdout, *, color: bool = True) -> Console:
    """The console on `stream`; without a terminal there it writes no control codes and no folded lines."""
    terminal = stream.isatty()
    return _Console(
        file=stream,
        no_color=not color or "NO_COLOR" in os.environ,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if terminal else _PLAIN_WIDTH,
        soft_wrap=not terminal,
        force_terminal=None if terminal else False,
    )


def print_plan(out: Console, plan: Plan, *, verbose: bool = False) -> None:
    """What would change, host by host, and why; the hosts that cannot be changed last. Long texts only if `verbose`."""
    for host in sorted(plan.hosts, key=lambda host: bool(host.conflicts) or host.error is not None):
        if host.changes or host.conflicts or host.notes or host.error is not None:
            out.print(Text(host.host, style="bold"))
            for line in _host_lines(host, verbose=verbose):
                out.print(Text("  ").append_text(line))
    summary = plan_document(plan)["summary"]
    if plan.empty and plan.sound:
        out.print(Text(f"Nothing to do: {_hosts(len(plan.hosts))} as the inventory wants.", style="green"))
        return
    counts = ", ".join(f"{summary[action]} to {action}" for action in _SIGNS if summary[action])
    out.print(Text(f"{_hosts(len(plan.hosts))}: {counts or 'nothing to change'}", style="bold"))
    if not plan.sound:
        against = f"{counted(summary['conflicts'], 'conflict')}, {_hosts(summary['errors'])} that cannot be worked with"
        out.print(Text(f"{against}: left alone.", style="bold red"))


def print_outcomes(out: Console, outcomes: Iterable[Outcome]) -> None:
    """What came of each host, the failed ones last with their cause."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for outcome in sorted(outcomes, key=lambda outcome: not outcome.ok):
        style = _OUTCOMES.get(outcome.status, "bold red")
        table.add_row(Text(outcome.host), Text(outcome.status, style=style), Text(outcome.error or ""))
    out.print(table)


def print_report(out: Console, report: Report) -> None:
    """The reachability table: a small fleet's matrix where it fits, else a line per host; then what failed, and why."""
    matrix = _matrix(report) if len(report.hosts) <= _MATRIX_HOSTS else None
    unbound = out.options.update_width(_PLAIN_WIDTH)
    out.print(matrix if matrix and out.measure(matrix, options=unbound).maximum <= out.width else _rows(report))
    for line in _failures(report):
        out.print(line)
    total, failed = len(report.answers), len(report.failed)
    if report.ok:
        out.print(Text(f"All {total} probes reached: every host, every container.", style="bold green"))
    else:
        out.print(Text(f"{failed} of {total} probes failed.", style="bold red"))


def _host_lines(plan: HostPlan, *, verbose: bool) -> Iterator[Text]:
    for change in plan.changes:
        yield from _change_lines(change, verbose=verbose)
    for conflict in plan.conflicts:
        yield Text.assemble(("✗ ", "bold red"), (conflict.key, "bold"), f" {conflict.message}")
    for note in plan.notes:
        yield Text.assemble(("· ", "yellow"), (note.key, "bold"), f" {note.message}")
    if plan.error is not None:
        yield Text.assemble(("✗ ", "bold red"), plan.error)


def _change_lines(change: Change, *, verbose: bool) -> Iterator[Text]:
    sign, style = _SIGNS[change.action]
    kind, key = key_of(change.resource)
    lines = list(_diff_lines(change)) if isinstance(change.resource, File | Chain | Unit) else []
    gist = "" if lines else f" {_gist(change)}"
    yield Text.assemble((f"{sign} {kind} {key}", style), f"{gist}  ", (f"({change.reason})", "dim"))
    if verbose or (len(lines) <= _DIFF_LINES and not _our_own(change.resource)):
        yield from lines
    elif not _our_own(change.resource):
        yield from lines[:_DIFF_LINES]
        yield Text(f"    … and {len(lines) - _DIFF_LINES} more lines; -v shows them", style="dim")


def _our_own(resource: Resource) -> bool:
    """Whether the text is dockmesh's own affair, which says nothing new about what a host will let in or send where."""
    return isinstance(resource, Unit) or (isinstance(resource, File) and resource.path != DAEMON_JSON)


def _gist(change: Change) -> str:
    if change.action == "change":
        return f"{shown(change.before)} -> {shown(change.after)}"
    return shown(change.resource) or ""


def _diff_lines(change: Change) -> Iterator[Text]:
    before, after = ((shown(side) or "").splitlines() for side in (change.before, change.after))
    for line in list(unified_diff(before, after, lineterm="", n=1))[2:]:
        if not line.startswith("@@"):
            style = {"+": "green", "-": "red"}.get(line[0], "dim")
            yield Text(f"    {line}", style=style)


def _matrix(report: Report) -> Table:
    table = Table(
        title="who reaches whom: host → bridge, host → container, container → container", title_justify="left"
    )
    table.add_column("from \\ to", style="bold", no_wrap=True)
    for target in report.hosts:
        table.add_column(target, justify="center", no_wrap=True)
    cells: dict[tuple[str, str], list[Reachability]] = {}
    for answer in report.answers:
        cells.setdefault((answer.probe.source, answer.probe.target), []).append(answer)
    for source in dict.fromkeys(answer.probe.source for answer in report.answers):
        table.add_row(source, *(_cell(cells.get((source, target), [])) for target in report.hosts))
    return table


def _cell(answers: list[Reachability]) -> Text:
    if not answers:
        return Text("-", style="dim")
    cell = Text(" ").join(
        Text(f"✓{answer.ttl}", style="green") if answer.ok else Text("✗", style="bold red") for answer in answers
    )
    times = [answer.rtt_ms for answer in answers if answer.rtt_ms is not None]
    return cell.append(f"  {max(times):.1f} ms", style="dim") if times else cell


def _rows(report: Report) -> Table:
    table = Table(title="who reaches whom, a line per host", title_justify="left")
    for name in ("host", "reached from it", "reaches it", "slowest"):
        table.add_column(name, justify="left" if name == "host" else "right", no_wrap=True)
    leaving: dict[str, list[Reachability]] = {}
    arriving: dict[str, list[Reachability]] = {}
    for answer in report.answers:
        leaving.setdefault(answer.probe.source, []).append(answer)
        arriving.setdefault(answer.probe.target, []).append(answer)
    for host in sorted(report.hosts, key=lambda host: -_bad(leaving.get(host, []) + arriving.get(host, []))):
        slowest = max((answer.rtt_ms or 0 for answer in leaving.get(host, [])), default=0)
        table.add_row(host, _share(leaving.get(host, [])), _share(arriving.get(host, [])), f"{slowest:.1f} ms")
    return table


def _bad(answers: list[Reachability]) -> int:
    return sum(not answer.ok for answer in answers)


def _share(answers: list[Reachability]) -> Text:
    good = len(answers) - _bad(answers)
    return Text(f"{good}/{len(answers)}", style="green" if good == len(answers) else "bold red")


def _failures(report: Report) -> Iterator[Text]:
    for answer in report.failed[:_FAILURES_SHOWN]:
        probe = answer.probe
        where = f"{probe.source} → {probe.target}"
        yield Text.assemble(("✗ ", "bold red"), (where, "bold"), f" {probe.kind}: {answer.reason}")
    if len(report.failed) > _FAILURES_SHOWN:
        yield Text(f"  … and {len(report.failed) - _FAILURES_SHOWN} more; --json has them all", style="dim")
    for host, error in report.errors.items():
        yield Text.assemble(("✗ ", "bold red"), (host, "bold"), f" {error}")


def _hosts(count: int) -> str:
    return counted(count, "host")


def counted(count: int, what: str) -> str:
    """A count of things in words: `1 host`, `2 hosts`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
