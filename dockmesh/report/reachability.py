"""Who reaches whom, for people."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockmesh.core.reach import Reachability, Report
from dockmesh.report.console import PLAIN_WIDTH

_MATRIX_HOSTS = 12
_FAILURES_SHOWN = 40


def print_report(out: Console, report: Report) -> None:
    """The reachability table: a small fleet's matrix where it fits, else a line per host; then what failed, and why."""
    matrix = _matrix(report) if len(report.hosts) <= _MATRIX_HOSTS else None
    unbound = out.options.update_width(PLAIN_WIDTH)
    out.print(matrix if matrix and out.measure(matrix, options=unbound).maximum <= out.width else _rows(report))
    for line in _failures(report):
        out.print(line)
    total, failed = len(report.answers), len(report.failed)
    if report.ok:
        out.print(Text(f"All {total} probes reached: every host, every container.", style="bold green"))
    else:
        out.print(Text(f"{failed} of {total} probes failed.", style="bold red"))


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
