"""Who reaches whom, for people."""

from collections.abc import Collection

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dockmesh.core.addresses import FAMILIES, IPV4, Family
from dockmesh.core.inventory.wording import listed
from dockmesh.core.reach import Reachability, Report
from dockmesh.report.console import PLAIN_WIDTH, counted, print_line
from dockmesh.report.failing import failures

_MATRIX_HOSTS = 12
_NAMED = 6
_LEGEND = "✓ with the reply's TTL, ✗ failed, ? not probed, and the slowest round trip"


def print_report(out: Console, report: Report, *, told: Collection[str] = ()) -> None:
    """The reachability table: a small fleet's matrix where it fits, else a line per host; then what failed, and why.

    What is wrong with the hosts in `told` is said elsewhere.
    """
    matrices = _matrices(report) if len(report.hosts) <= _MATRIX_HOSTS else {}
    unbound = out.options.update_width(PLAIN_WIDTH)
    if matrices and all(out.measure(each, options=unbound).maximum <= out.width for each in matrices.values()):
        for family, matrix in matrices.items():
            over = f" over IPv{family}" if len(matrices) > 1 else ""
            title = f"who reaches whom{over}: host → bridge, host → container, container → container"
            out.print(Text(title, style="italic"))
            out.print(matrix)
        out.print(Text(_LEGEND, style="dim"))
    else:
        out.print(_rows(report))
    for line in failures(report, told):
        print_line(out, line)
    out.print(_summary(report))


def _summary(report: Report) -> Text:
    total, unmade = len(report.answers), len(report.unmade)
    failed = len(report.failed) - unmade
    if report.ok:
        asked = list(dict.fromkeys(answer.probe.source for answer in report.answers))
        part = len(asked) < len(report.hosts)
        whole = f"from {listed(asked, _NAMED)} reached" if part else "reached: every host, and a container on each"
        return Text(f"All {counted(total, 'probe')} {whole}." if total else "Nothing to probe.", style="bold green")
    counts = [f"{count} {what}" for count, what in ((failed, "failed"), (unmade, "could not be made")) if count]
    if not counts:
        return Text(f"{counted(len(report.errors), 'host')} could not be asked.", style="bold red")
    return Text(f"Of {counted(total, 'probe')}, {' and '.join(counts)}.", style="bold red")


def _matrices(report: Report) -> dict[Family, Table]:
    """A table for each family that was probed; one of IPv4 where nothing was."""
    probed = {answer.probe.family for answer in report.answers}
    return {family: _matrix(report, family) for family in FAMILIES if family in (probed or {IPV4})}


def _matrix(report: Report, family: Family) -> Table:
    table = Table()
    table.add_column("from \\ to", style="bold", no_wrap=True)
    for target in report.hosts:
        table.add_column(target, justify="center", no_wrap=True)
    cells: dict[tuple[str, str], list[Reachability]] = {}
    for answer in report.answers:
        if answer.probe.family == family:
            cells.setdefault((answer.probe.source, answer.probe.target), []).append(answer)
    for source in dict.fromkeys(answer.probe.source for answer in report.answers):
        table.add_row(source, *(_cell(cells.get((source, target), [])) for target in report.hosts))
    return table


def _cell(answers: list[Reachability]) -> Text:
    if not answers:
        return Text("-", style="dim")
    cell = Text(" ").join(map(_mark, answers))
    # The round trip of a reply that came from elsewhere says nothing of this pair.
    times = [answer.rtt_ms for answer in answers if answer.ok and answer.rtt_ms is not None]
    return cell.append(f"  {max(times):.1f} ms", style="dim") if times else cell


def _mark(answer: Reachability) -> Text:
    if answer.ok:
        return Text(f"✓{answer.ttl}", style="green")
    return Text("✗", style="bold red") if answer.probed else Text("?", style="yellow")


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
        times = [answer.rtt_ms for answer in leaving.get(host, []) if answer.ok and answer.rtt_ms is not None]
        slowest = f"{max(times):.1f} ms" if times else "-"
        table.add_row(host, _share(leaving.get(host, [])), _share(arriving.get(host, [])), slowest)
    return table


def _bad(answers: list[Reachability]) -> int:
    return sum(not answer.ok for answer in answers)


def _share(answers: list[Reachability]) -> Text:
    if not answers:
        return Text("-", style="dim")
    good = len(answers) - _bad(answers)
    return Text(f"{good}/{len(answers)}", style="green" if good == len(answers) else "bold red")
