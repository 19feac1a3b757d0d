"""The reachability of a large fleet on the terminal: by kind of probe and by failing host."""

from collections import Counter
from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from dockmesh.core.probes.model import EXPECTED_TTL
from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.model import FailureKind, MeshResult, ProbeResult, count, slowest_ms
from dockmesh.report.console.terminal import pluralize

_HOSTS_SHOWN = 12
_NAMES: dict[str, str] = {kind: kind.replace("-", "→") for kind in EXPECTED_TTL}
_FAILURES = {
    FailureKind.REPLY: "silent",
    FailureKind.TTL: "ttl",
    FailureKind.MTU: "mtu",
    FailureKind.SOURCE: "src",
    FailureKind.UNMADE: "unmade",
}
_LEGEND = "silent: no reply; ttl: wrong TTL; mtu: full size lost; src: wrong source address"


def fleet_summary(result: MeshResult, *, verbose: bool) -> Iterator[Table | Text]:
    """Yield a table by kind for each family, then a table of the hosts that explain the failures.

    With `verbose`, the second table has all hosts.
    """
    for family in result.families if result.probes else ():
        over = f" over IPv{family}" if len(result.families) > 1 else ""
        yield _by_kind(f"Reachability{over}", [probe for probe in result.probes if probe.family == family])
    yield Text(_LEGEND, style="dim")
    yield from _by_host(result, verbose=verbose)


def _by_kind(title: str, probes: list[ProbeResult]) -> Table:
    unmade = any(not probe.made for probe in probes)
    shown = {failure: name for failure, name in _FAILURES.items() if unmade or failure != FailureKind.UNMADE}
    table = _table(title, "probe")
    for name in ("sent", *shown.values(), "min/avg/max ms", "loss"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, name in _NAMES.items():
        if of_kind := [probe for probe in probes if probe.kind == kind]:
            counts = Counter(probe.failure for probe in of_kind)
            failures = (_count(counts[failure]) for failure in shown)
            table.add_row(name, str(len(of_kind)), *failures, _times(of_kind), _loss(of_kind))
    return table


def _count(number: int) -> Text:
    return Text(str(number), style="bold red") if number else Text("-", style="dim")


def _times(probes: Iterable[ProbeResult]) -> str:
    """Return the round trips of replies with the expected TTL; others may come from another host."""
    timed = [probe for probe in probes if probe.reply_ok and probe.rtt_ms is not None]
    if not timed:
        return "-"
    shortest = min(probe.rtt_min_ms if probe.rtt_min_ms is not None else probe.rtt_ms or 0 for probe in timed)
    average = sum(probe.rtt_ms or 0 for probe in timed) / len(timed)
    longest = max(probe.rtt_max_ms if probe.rtt_max_ms is not None else probe.rtt_ms or 0 for probe in timed)
    return f"{_short(shortest)}/{_short(average)}/{_short(longest)}"


def _short(ms: float) -> str:
    """Format with as many decimal places as are significant."""
    return f"{ms:.2f}" if ms < 1 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"  # noqa: PLR2004 (thresholds of the format)


def _loss(probes: Iterable[ProbeResult]) -> Text:
    """Return the share of packets without a reply. Probes without any reply have their own column."""
    reached = [probe for probe in probes if probe.reached]
    sent = sum(probe.sent for probe in reached)
    lost = sent - sum(probe.received for probe in reached)
    if not lost:
        return Text("-", style="dim")
    percent = round(100 * lost / sent)
    return Text(f"{percent} %" if percent else "<1 %", style="yellow")


def _by_host(result: MeshResult, *, verbose: bool) -> Iterator[Table | Text]:
    """The hosts that explain the failures, most failed probes first.

    Hosts that could not be read are left out, since each has an error line.
    """
    outbound: dict[str, list[ProbeResult]] = {host: [] for host in result.names}
    inbound: dict[str, list[ProbeResult]] = {host: [] for host in result.names}
    for probe in result.probes:
        outbound[probe.source].append(probe)
        inbound[probe.target].append(probe)
    failures = Counter(host for probe in result.failed for host in {probe.source, probe.target})
    unread = list(result.errors)
    found = culprits(dict.fromkeys((probe.source, probe.target) for probe in result.failed), unread)
    places = {host: place for place, host in enumerate(result.names)}
    worst = sorted(found if verbose else found[len(unread) :], key=lambda host: (-failures[host], places[host]))
    shown = [*worst, *(host for host in result.names if host not in worst)] if verbose else worst[:_HOSTS_SHOWN]
    if not shown:
        return
    table = _table("Hosts, most failures first" if verbose else "Hosts that explain the failures", "host")
    for name in ("outbound", "inbound", "slowest ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for host in shown:
        slowest = slowest_ms(outbound[host])
        table.add_row(host, _share(outbound[host]), _share(inbound[host]), "-" if slowest is None else _short(slowest))
    yield table
    if not verbose and len(worst) > len(shown):
        yield Text(f"… and {pluralize(len(worst) - len(shown), 'more host')}; -v shows all", style="dim")


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    return table


def _share(probes: list[ProbeResult]) -> Text:
    if not probes:
        return Text("-", style="dim")
    reached = count(probes, "reached")
    return Text(f"{reached}/{len(probes)}", style="green" if reached == len(probes) else "bold red")
