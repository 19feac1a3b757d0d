"""The reachability of a mesh on the terminal: a matrix or a summary, then the failures, then the verdict."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dockmesh.core.addresses import Family
from dockmesh.core.compact import describe_names
from dockmesh.core.results.model import FailureKind, MeshResult, ProbeResult, count, slowest_ms
from dockmesh.report.console.fleet_summary import fleet_summary
from dockmesh.report.console.packet_loss import packet_lines
from dockmesh.report.console.probe_failures import failure_lines
from dockmesh.report.console.terminal import PLAIN_WIDTH, folded_lines, pluralize

_MATRIX_HOSTS = 12
_NAMED = 6
_EXCEPTIONS = 2
_MARKED = {
    FailureKind.MTU: "✗mtu full-size packets are lost",
    FailureKind.SOURCE: "✗src wrong source address",
}


def print_report(
    out: Console, result: MeshResult, *, reported: Collection[str] = (), verbose: bool = False, brief: bool = False
) -> None:
    """Print the report of `render_report`, without the table if `brief`.

    `reported`: hosts whose errors the caller prints.
    """
    for part in _parts(out, result, reported, verbose=verbose, brief=brief):
        out.print(part)


def render_report(out: Console, result: MeshResult, *, verbose: bool = False) -> Group:
    """Return the reachability table, the failures by cause, and the verdict.

    The table is a matrix if one fits, otherwise a summary by kind of probe and by host. With `verbose`, the summary has
    a line for every host.
    """
    return Group(*_parts(out, result, (), verbose=verbose))


def _parts(
    out: Console, result: MeshResult, reported: Collection[str], *, verbose: bool, brief: bool = False
) -> Iterator[RenderableType]:
    if not brief and result.probes:
        yield from _matrices(out, result) or fleet_summary(result, verbose=verbose)
        yield from packet_lines(result)
    for line in failure_lines(result, reported):
        yield from folded_lines(out, line)
    if result.unprobed:
        yield Text(f"{pluralize(result.unprobed, 'other pair')} of hosts not probed", style="dim")
    yield _verdict(result)


def _verdict(result: MeshResult) -> Text:
    total = len(result.probes)
    failed, unmade = count(result.failed, "failed"), count(result.failed, "unmade")
    if result.ok:
        return _success(result) if total else Text("Nothing to probe.", style="bold green")
    counts = [f"{number} {text}" for number, text in ((failed, "failed"), (unmade, "could not be made")) if number]
    if counts:
        verdict = f"Of {pluralize(total, 'probe')}, {' and '.join(counts)}."
    elif result.errors:
        verdict = f"{pluralize(len(result.errors), 'host')} could not be read."
    else:
        verdict = _success(result).plain if total else "Nothing to probe."
    pending = f" {pluralize(len(result.pending), 'host')} with a pending change." if result.pending else ""
    return Text(verdict + pending, style="bold red")


def _success(result: MeshResult) -> Text:
    total = len(result.probes)
    probes = f"All {total} probes" if total > 1 else "1 probe"
    verdict = Text(f"{probes} {_coverage(result)}.", style="bold green")
    sent, received = (sum(getattr(probe, name) for probe in result.probes) for name in ("sent", "received"))
    if sent > received:
        loss = f" Every probe got a reply, but {sent - received} of {pluralize(sent, 'packet')} did not."
        verdict.append(loss, style="yellow")
    return verdict


def _coverage(result: MeshResult) -> str:
    """Name the sources or the targets, so that the verdict claims no more than was probed."""
    if result.partial:
        return f"of the {pluralize(len(result.pairs), 'selected pair')} reached"
    sources = {source for source, _target in result.pairs}
    if len(sources) < len(result.hosts):
        names = [name for name in result.names if name in sources]
        return f"from {describe_names(names, result.tags, most=_NAMED)} reached"
    return f"reached: {_targets(result)}"


def _targets(result: MeshResult) -> str:
    peers = {probe.target for probe in result.probes if probe.source != probe.target}
    containers = {probe.target for probe in result.probes if probe.kind.endswith("-container")}
    if not peers:
        return f"a container on {describe_names(tuple(containers), result.tags, most=_NAMED)}"
    hosts = f"every host{_except(result, peers)}"
    if not containers:
        return f"{hosts}; no host has a container to probe"
    return f"{hosts}, and a container on each{_except(result, containers) if containers != peers else ''}"


def _except(result: MeshResult, names: Collection[str]) -> str:
    rest = [name for name in result.names if name not in names]
    if len(rest) > _EXCEPTIONS:
        return f" except {len(rest)} of {len(result.names)} hosts"
    return f" except {' and '.join(rest)}" if rest else ""


# --- the matrix -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a matrix shows hosts and cells. `numbered`: columns have numbers, which the row labels repeat."""

    cell: Callable[[list[ProbeResult]], Text]
    legend: Callable[[MeshResult], str]
    numbered: bool = False
    padded: bool = True


def _matrices(out: Console, result: MeshResult) -> list[RenderableType]:
    """Return a matrix for each probed family in the first layout that fits the console, or nothing if none does."""
    if len(result.hosts) > _MATRIX_HOSTS:
        return []
    families = result.families
    unbound = out.options.update_width(PLAIN_WIDTH)
    for layout in _layouts():
        matrices = [_matrix(result, family, layout) for family in families]
        if all(out.measure(each, options=unbound).maximum <= out.width for each in matrices):
            titles = [_title(family, alone=len(families) == 1) for family in families]
            tables = [part for pair in zip(titles, matrices, strict=True) for part in pair]
            return [*tables, *(Text(line, style="dim") for line in _legend(result, layout))]
    return []


def _layouts() -> Iterator[_Layout]:
    """The layouts by preference: host names matter more than details of the cells, and those more than padding."""
    cells = ((_timed, _timed_legend), (_marked, _marked_legend), (_dense, _dense_legend))
    yield from (_Layout(cell, legend) for cell, legend in cells)
    for cell, legend in cells:
        yield _Layout(cell, legend, numbered=True)
        yield _Layout(cell, legend, numbered=True, padded=False)


def _legend(result: MeshResult, layout: _Layout) -> Iterator[str]:
    yield layout.legend(result)
    if layout.numbered:
        sources = {source for source, _target in result.pairs}
        others = [label.strip() for name, label in _labels(result).items() if name not in sources]
        without_row = f"; hosts without a row: {', '.join(others)}" if others else ""
        yield f"Column N is the host of row N{without_row}"


def _labels(result: MeshResult) -> dict[str, str]:
    width = len(str(len(result.names)))
    return {name: f"{number:>{width}} {name}" for number, name in enumerate(result.names, start=1)}


def _title(family: Family, *, alone: bool) -> Text:
    over = "" if alone else f" over IPv{family}"
    return Text(f"Reachability{over}: host → bridge, host → container, container → container", style="italic")


def _matrix(result: MeshResult, family: Family, layout: _Layout) -> Table:
    labels = _labels(result) if layout.numbered else {name: name for name in result.names}
    table = Table(padding=(0, 1) if layout.padded else 0)
    table.add_column("from \\ to", style="bold", no_wrap=True)
    for number, target in enumerate(result.names, start=1):
        table.add_column(str(number) if layout.numbered else target, justify="center", no_wrap=True)
    nothing = Text("-", style="dim")
    for source in dict.fromkeys(source for source, _target in result.pairs):
        pairs = (result.pairs.get((source, target), ()) for target in result.names)
        cells = ([probe for probe in pair if probe.family == family] for pair in pairs)
        table.add_row(labels[source], *(layout.cell(probes) if probes else nothing for probes in cells))
    return table


def _timed(probes: list[ProbeResult]) -> Text:
    cell = _marked(probes)
    slowest = slowest_ms(probes)
    return cell if slowest is None else cell.append(f"  {slowest:.1f} ms", style="dim")


def _marked(probes: list[ProbeResult]) -> Text:
    return Text(" ").join(Text(_sign(probe) + _detail(probe), _style(probe)) for probe in probes)


def _dense(probes: list[ProbeResult]) -> Text:
    return Text("").join(Text(_sign(probe), _style(probe)) for probe in probes)


def _sign(probe: ProbeResult) -> str:
    return "✓" if probe.ok else "✗" if probe.made else "?"


def _style(probe: ProbeResult) -> str:
    return "green" if probe.ok else "bold red" if probe.made else "yellow"


def _detail(probe: ProbeResult) -> str:
    """Return the TTL of the reply, expected or not, or the abbreviation of another failure."""
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
    failures = {probe.failure for probe in result.probes}
    marks = [text for failure, text in _MARKED.items() if failure in failures]
    return ", ".join(("✓ and TTL of the reply, ✗ failed", *marks, _unprobed_legend(result)))


def _dense_legend(result: MeshResult) -> str:
    return f"✓ reached, ✗ failed, {_unprobed_legend(result)}"


def _unprobed_legend(result: MeshResult) -> str:
    return "? could not be probed, - not probed" if result.partial else "? not probed"
