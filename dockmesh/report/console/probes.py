"""Who reaches whom, for people."""

from collections.abc import Callable, Collection, Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dockmesh.core.addresses import FAMILIES, IPV4, Family
from dockmesh.core.probes.model import FailureKind, ProbeReport, ProbeResult
from dockmesh.core.text import listed
from dockmesh.report.console.fleet_summary import fleet_summary
from dockmesh.report.console.probe_failures import failure_lines
from dockmesh.report.console.terminal import PLAIN_WIDTH, folded_lines, pluralize

_MATRIX_HOSTS = 12
_NAMED = 6
_MARKED = {
    FailureKind.MTU: "✗mtu packets of full size are lost",
    FailureKind.SOURCE: "✗src it comes from a wrong source",
}


def print_report(
    out: Console, report: ProbeReport, *, told: Collection[str] = (), verbose: bool = False, brief: bool = False
) -> None:
    """See `shown`; if `brief`, without the table."""
    for part in _parts(out, report, told, verbose=verbose, brief=brief):
        out.print(part)


def render_report(out: Console, report: ProbeReport, *, verbose: bool = False) -> Group:
    """The reachability table: a small fleet's matrix where one fits, else what fails by kind and by host; then why.

    What is wrong with the hosts in `told` is said elsewhere; with `verbose` every host has its line.
    """
    return Group(*_parts(out, report, (), verbose=verbose))


def _parts(
    out: Console, report: ProbeReport, told: Collection[str], *, verbose: bool, brief: bool = False
) -> Iterator[RenderableType]:
    if not brief:
        yield from _fitting(out, report) or fleet_summary(report, verbose=verbose)
    for line in failure_lines(report, told):
        yield from folded_lines(out, line)
    yield _summary(report)


def _summary(report: ProbeReport) -> Text:
    total, unmade = len(report.results), len(report.not_sent)
    failed = len(report.failed) - unmade
    if report.ok:
        return Text(
            f"All {pluralize(total, 'probe')} {_whole(report)}." if total else "Nothing to probe.", "bold green"
        )
    counts = [f"{count} {what}" for count, what in ((failed, "failed"), (unmade, "could not be made")) if count]
    if not counts:
        return Text(f"{pluralize(len(report.errors), 'host')} could not be asked.", style="bold red")
    return Text(f"Of {pluralize(total, 'probe')}, {' and '.join(counts)}.", style="bold red")


def _whole(report: ProbeReport) -> str:
    """Of what it is true that all were reached."""
    if report.partial:
        pairs = {(answer.probe.source, answer.probe.target) for answer in report.results}
        return f"reached, of the {pluralize(len(pairs), 'pair')} that were asked"
    asked = list(dict.fromkeys(answer.probe.source for answer in report.results))
    if len(asked) < len(report.hosts):
        return f"from {listed(asked, _NAMED)} reached"
    return "reached: every host, and a container on each"


def _fitting(out: Console, report: ProbeReport) -> list[RenderableType]:
    """A matrix for each family that was probed, as detailed as there is room for; nothing where there is none."""
    if len(report.hosts) > _MATRIX_HOSTS:
        return []
    probed = {answer.probe.family for answer in report.results} or {IPV4}
    families = [family for family in FAMILIES if family in probed]
    unbound = out.options.update_width(PLAIN_WIDTH)
    for cell, legend in ((_timed, _timed_legend), (_marked, _marked_legend), (_dense, _dense_legend)):
        matrices = [_matrix(report, family, cell) for family in families]
        if all(out.measure(each, options=unbound).maximum <= out.width for each in matrices):
            titles = [_title(family, alone=len(families) == 1) for family in families]
            tables = [part for pair in zip(titles, matrices, strict=True) for part in pair]
            return [*tables, Text(legend(report), style="dim")]
    return []


def _title(family: Family, *, alone: bool) -> Text:
    over = "" if alone else f" over IPv{family}"
    return Text(f"who reaches whom{over}: host → bridge, host → container, container → container", style="italic")


def _matrix(report: ProbeReport, family: Family, cell: Callable[[list[ProbeResult]], Text]) -> Table:
    table = Table()
    table.add_column("from \\ to", style="bold", no_wrap=True)
    for target in report.hosts:
        table.add_column(target, justify="center", no_wrap=True)
    cells: dict[tuple[str, str], list[ProbeResult]] = {}
    for answer in report.results:
        if answer.probe.family == family:
            cells.setdefault((answer.probe.source, answer.probe.target), []).append(answer)
    nothing = Text("-", style="dim")
    for source in dict.fromkeys(answer.probe.source for answer in report.results):
        row = (cells.get((source, target)) for target in report.hosts)
        table.add_row(source, *(cell(answers) if answers else nothing for answers in row))
    return table


def _timed(answers: list[ProbeResult]) -> Text:
    cell = _marked(answers)
    # The round trip of a reply that came from elsewhere says nothing of this pair.
    times = [answer.rtt_ms for answer in answers if answer.reply_ok and answer.rtt_ms is not None]
    return cell.append(f"  {max(times):.1f} ms", style="dim") if times else cell


def _marked(answers: list[ProbeResult]) -> Text:
    return Text(" ").join(Text(_sign(answer) + _behind(answer), _style(answer)) for answer in answers)


def _dense(answers: list[ProbeResult]) -> Text:
    return Text("").join(Text(_sign(answer), _style(answer)) for answer in answers)


def _sign(answer: ProbeResult) -> str:
    return "✓" if answer.ok else "✗" if answer.probed else "?"


def _style(answer: ProbeResult) -> str:
    return "green" if answer.ok else "bold red" if answer.probed else "yellow"


def _behind(answer: ProbeResult) -> str:
    """The TTL of the reply, right or wrong; or what else is wrong."""
    match answer.failure:
        case None | FailureKind.TTL:
            return str(answer.ttl)
        case FailureKind.MTU:
            return "mtu"
        case FailureKind.SOURCE:
            return "src"
        case _:
            return ""


def _timed_legend(report: ProbeReport) -> str:
    return f"{_marked_legend(report)}, and the slowest round trip"


def _marked_legend(report: ProbeReport) -> str:
    found = {answer.failure for answer in report.results}
    odd = [text for flaw, text in _MARKED.items() if flaw in found]
    return ", ".join(("✓ with the reply's TTL, ✗ failed", *odd, "? not probed"))


def _dense_legend(_report: ProbeReport) -> str:
    return "✓ reached, ✗ failed, ? not probed"
