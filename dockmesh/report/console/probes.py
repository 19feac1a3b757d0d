"""Who reaches whom, for people."""

from collections.abc import Callable, Collection, Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dockmesh.core.addresses import Family
from dockmesh.core.results.model import FailureKind, MeshResult, ProbeResult, count, slowest_ms
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
    out: Console, result: MeshResult, *, told: Collection[str] = (), verbose: bool = False, brief: bool = False
) -> None:
    """See `shown`; if `brief`, without the table."""
    for part in _parts(out, result, told, verbose=verbose, brief=brief):
        out.print(part)


def render_report(out: Console, result: MeshResult, *, verbose: bool = False) -> Group:
    """The reachability table: a small fleet's matrix where one fits, else what fails by kind and by host; then why.

    What is wrong with the hosts in `told` is said elsewhere; with `verbose` every host has its line.
    """
    return Group(*_parts(out, result, (), verbose=verbose))


def _parts(
    out: Console, result: MeshResult, told: Collection[str], *, verbose: bool, brief: bool = False
) -> Iterator[RenderableType]:
    if not brief:
        yield from _fitting(out, result) or fleet_summary(result, verbose=verbose)
    for line in failure_lines(result, told):
        yield from folded_lines(out, line)
    yield _summary(result)


def _summary(result: MeshResult) -> Text:
    total = len(result.probes)
    failed, unmade = count(result.failed, "failed"), count(result.failed, "unmade")
    if result.ok:
        return Text(
            f"All {pluralize(total, 'probe')} {_whole(result)}." if total else "Nothing to probe.", "bold green"
        )
    counts = [f"{number} {what}" for number, what in ((failed, "failed"), (unmade, "could not be made")) if number]
    if not counts:
        return Text(f"{pluralize(len(result.errors), 'host')} could not be asked.", style="bold red")
    return Text(f"Of {pluralize(total, 'probe')}, {' and '.join(counts)}.", style="bold red")


def _whole(result: MeshResult) -> str:
    """Of what it is true that all were reached."""
    if result.partial:
        return f"reached, of the {pluralize(len(result.pairs), 'pair')} that were asked"
    asked = list(dict.fromkeys(source for source, _target in result.pairs))
    if len(asked) < len(result.hosts):
        return f"from {listed(asked, _NAMED)} reached"
    return "reached: every host, and a container on each"


def _fitting(out: Console, result: MeshResult) -> list[RenderableType]:
    """A matrix for each family that was probed, as detailed as there is room for; nothing where there is none."""
    if len(result.hosts) > _MATRIX_HOSTS:
        return []
    families = result.families
    unbound = out.options.update_width(PLAIN_WIDTH)
    for cell, legend in ((_timed, _timed_legend), (_marked, _marked_legend), (_dense, _dense_legend)):
        matrices = [_matrix(result, family, cell) for family in families]
        if all(out.measure(each, options=unbound).maximum <= out.width for each in matrices):
            titles = [_title(family, alone=len(families) == 1) for family in families]
            tables = [part for pair in zip(titles, matrices, strict=True) for part in pair]
            return [*tables, Text(legend(result), style="dim")]
    return []


def _title(family: Family, *, alone: bool) -> Text:
    over = "" if alone else f" over IPv{family}"
    return Text(f"who reaches whom{over}: host → bridge, host → container, container → container", style="italic")


def _matrix(result: MeshResult, family: Family, cell: Callable[[list[ProbeResult]], Text]) -> Table:
    table = Table()
    table.add_column("from \\ to", style="bold", no_wrap=True)
    for target in result.names:
        table.add_column(target, justify="center", no_wrap=True)
    nothing = Text("-", style="dim")
    for source in dict.fromkeys(source for source, _target in result.pairs):
        pairs = (result.pairs.get((source, target), ()) for target in result.names)
        cells = ([probe for probe in pair if probe.family == family] for pair in pairs)
        table.add_row(source, *(cell(probes) if probes else nothing for probes in cells))
    return table


def _timed(probes: list[ProbeResult]) -> Text:
    cell = _marked(probes)
    slowest = slowest_ms(probes)
    return cell if slowest is None else cell.append(f"  {slowest:.1f} ms", style="dim")


def _marked(probes: list[ProbeResult]) -> Text:
    return Text(" ").join(Text(_sign(probe) + _behind(probe), _style(probe)) for probe in probes)


def _dense(probes: list[ProbeResult]) -> Text:
    return Text("").join(Text(_sign(probe), _style(probe)) for probe in probes)


def _sign(probe: ProbeResult) -> str:
    return "✓" if probe.ok else "✗" if probe.made else "?"


def _style(probe: ProbeResult) -> str:
    return "green" if probe.ok else "bold red" if probe.made else "yellow"


def _behind(probe: ProbeResult) -> str:
    """The TTL of the reply, right or wrong; or what else is wrong."""
    match probe.failure:
        case None | FailureKind.TTL:
            return str(probe.ttl)
        case FailureKind.MTU:
            return "mtu"
        case FailureKind.SOURCE:
            return "src"
        case _:
            return ""


def _timed_legend(result: MeshResult) -> str:
    return f"{_marked_legend(result)}, and the slowest round trip"


def _marked_legend(result: MeshResult) -> str:
    found = {probe.failure for probe in result.probes}
    odd = [text for flaw, text in _MARKED.items() if flaw in found]
    return ", ".join(("✓ with the reply's TTL, ✗ failed", *odd, "? not probed"))


def _dense_legend(_result: MeshResult) -> str:
    return "✓ reached, ✗ failed, ? not probed"
