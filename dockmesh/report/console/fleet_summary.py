"""Who reaches whom in a large fleet: by kind of probe, and by the hosts that fail."""

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from dockmesh.core.probes.model import EXPECTED_TTL
from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.model import FailureKind, MeshResult, ProbeResult, count, slowest_ms
from dockmesh.report.console.terminal import pluralize

_HOSTS = 12
_NAMES: dict[str, str] = {kind: kind.replace("-", "→") for kind in EXPECTED_TTL}
_FLAWS = {
    FailureKind.REPLY: "silent",
    FailureKind.TTL: "ttl",
    FailureKind.MTU: "mtu",
    FailureKind.SOURCE: "src",
    FailureKind.UNMADE: "unmade",
}
_LEGEND = "silent: no reply; ttl: another way; mtu: large packets lost; src: wrong source"


def fleet_summary(result: MeshResult, *, verbose: bool) -> Iterator[Table | Text]:
    """A table by kind for each family, and one of the hosts with which others fail; of all hosts if `verbose`."""
    for family in result.families if result.probes else ():
        over = f" over IPv{family}" if len(result.families) > 1 else ""
        yield _by_kind(f"who reaches whom{over}", [probe for probe in result.probes if probe.family == family])
    yield Text(_LEGEND, style="dim")
    yield from _by_host(result, verbose=verbose)


def _by_kind(title: str, probes: list[ProbeResult]) -> Table:
    """How many were asked, how many failed for what, and how long and lossy the way was."""
    unmade = any(not probe.made for probe in probes)
    shown = {flaw: name for flaw, name in _FLAWS.items() if unmade or flaw != FailureKind.UNMADE}
    table = _table(title, "probe")
    for name in ("asked", *shown.values(), "min/avg/max ms", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, name in _NAMES.items():
        if of_kind := [probe for probe in probes if probe.kind == kind]:
            counts = Counter(probe.failure for probe in of_kind)
            flaws = (_count(counts[flaw]) for flaw in shown)
            table.add_row(name, str(len(of_kind)), *flaws, _times(of_kind), _loss(of_kind))
    return table


def _count(number: int) -> Text:
    return Text(str(number), style="bold red") if number else Text("-", style="dim")


def _times(probes: Iterable[ProbeResult]) -> str:
    """Of the replies that came by the right way."""
    found = [probe for probe in probes if probe.reply_ok and probe.rtt_ms is not None]
    if not found:
        return "-"
    least = min(probe.rtt_min_ms if probe.rtt_min_ms is not None else probe.rtt_ms or 0 for probe in found)
    average = sum(probe.rtt_ms or 0 for probe in found) / len(found)
    most = max(probe.rtt_max_ms if probe.rtt_max_ms is not None else probe.rtt_ms or 0 for probe in found)
    return f"{_short(least)}/{_short(average)}/{_short(most)}"


def _short(ms: float) -> str:
    """Two figures behind the point where that says something."""
    return f"{ms:.2f}" if ms < 1 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"  # noqa: PLR2004 (figures of figures)


def _loss(probes: Iterable[ProbeResult]) -> Text:
    """Of the packets whose probe got a reply at all: what is silent is counted as that."""
    found = [probe for probe in probes if probe.reached]
    sent = sum(probe.sent for probe in found)
    lost = sent - sum(probe.received for probe in found)
    if not lost:
        return Text("-", style="dim")
    percent = round(100 * lost / sent)
    return Text(f"{percent} %" if percent else "<1 %", style="yellow")


def _by_host(result: MeshResult, *, verbose: bool) -> Iterator[Table | Text]:
    """Those that are to blame, the worst first: the others fail with them alone."""
    leaving: dict[str, list[ProbeResult]] = {host: [] for host in result.names}
    arriving: dict[str, list[ProbeResult]] = {host: [] for host in result.names}
    for probe in result.probes:
        leaving[probe.source].append(probe)
        arriving[probe.target].append(probe)
    worst = culprits(dict.fromkeys((probe.source, probe.target) for probe in result.failed))
    shown = [*worst, *(host for host in result.names if host not in worst)] if verbose else worst[:_HOSTS]
    if not shown:
        return
    table = _table("by host, the worst first" if verbose else "the hosts with which others fail", "host")
    for name in ("reached from it", "reaches it", "slowest ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for host in shown:
        slowest = slowest_ms(leaving[host])
        table.add_row(host, _share(leaving[host]), _share(arriving[host]), "-" if slowest is None else _short(slowest))
    yield table
    if not verbose and len(worst) > len(shown):
        yield Text(f"… and {pluralize(len(worst) - len(shown), 'host')} more; -v shows all", style="dim")


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    return table


def _share(probes: list[ProbeResult]) -> Text:
    if not probes:
        return Text("-", style="dim")
    good = count(probes, "reached")
    return Text(f"{good}/{len(probes)}", style="green" if good == len(probes) else "bold red")
