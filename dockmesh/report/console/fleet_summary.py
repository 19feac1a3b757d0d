"""Who reaches whom in a large fleet: by kind of probe, and by the hosts that fail."""

from collections.abc import Iterable, Iterator

from rich.table import Table
from rich.text import Text

from dockmesh.core.addresses import FAMILIES
from dockmesh.core.probes.culprits import culprits
from dockmesh.core.probes.model import EXPECTED_TTL, FailureKind, ProbeKind, ProbeReport, ProbeResult
from dockmesh.report.console.terminal import pluralize

_HOSTS = 12
_NAMES: dict[ProbeKind, str] = {kind: kind.replace("-", "→") for kind in EXPECTED_TTL}
_FLAWS = {
    FailureKind.REPLY: "silent",
    FailureKind.TTL: "ttl",
    FailureKind.MTU: "mtu",
    FailureKind.SOURCE: "src",
    FailureKind.UNMADE: "unmade",
}
_LEGEND = "silent: no reply; ttl: another way; mtu: large packets lost; src: wrong source"


def fleet_summary(report: ProbeReport, *, verbose: bool) -> Iterator[Table | Text]:
    """A table by kind for each family, and one of the hosts with which others fail; of all hosts if `verbose`."""
    families = [family for family in FAMILIES if any(answer.probe.family == family for answer in report.results)]
    for family in families:
        over = f" over IPv{family}" if len(families) > 1 else ""
        yield _by_kind(f"who reaches whom{over}", [each for each in report.results if each.probe.family == family])
    yield Text(_LEGEND, style="dim")
    yield from _by_host(report, verbose=verbose)


def _by_kind(title: str, answers: list[ProbeResult]) -> Table:
    """How many were asked, how many failed for what, and how long and lossy the way was."""
    unmade = any(answer.failure == FailureKind.UNMADE for answer in answers)
    shown = {flaw: name for flaw, name in _FLAWS.items() if unmade or flaw != FailureKind.UNMADE}
    table = _table(title, "probe")
    for name in ("asked", *shown.values(), "min/avg/max ms", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for kind, name in _NAMES.items():
        if of_kind := [answer for answer in answers if answer.probe.kind == kind]:
            flaws = [_count(of_kind, flaw) for flaw in shown]
            table.add_row(name, str(len(of_kind)), *flaws, _times(of_kind), _loss(of_kind))
    return table


def _count(answers: Iterable[ProbeResult], flaw: FailureKind) -> Text:
    count = sum(answer.failure == flaw for answer in answers)
    return Text(str(count), style="bold red") if count else Text("-", style="dim")


def _times(answers: Iterable[ProbeResult]) -> str:
    """Of the replies that came by the right way."""
    found = [answer for answer in answers if answer.reply_ok and answer.rtt_ms is not None]
    if not found:
        return "-"
    least = min(answer.rtt_min_ms if answer.rtt_min_ms is not None else answer.rtt_ms or 0 for answer in found)
    average = sum(answer.rtt_ms or 0 for answer in found) / len(found)
    most = max(answer.rtt_max_ms if answer.rtt_max_ms is not None else answer.rtt_ms or 0 for answer in found)
    return f"{_short(least)}/{_short(average)}/{_short(most)}"


def _short(ms: float) -> str:
    """Two figures behind the point where that says something."""
    return f"{ms:.2f}" if ms < 1 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"  # noqa: PLR2004 (figures of figures)


def _loss(answers: Iterable[ProbeResult]) -> Text:
    """Of the packets whose probe got a reply at all: what is silent is counted as that."""
    found = [answer for answer in answers if answer.reached]
    sent = sum(answer.sent for answer in found)
    lost = sent - sum(answer.received for answer in found)
    if not lost:
        return Text("-", style="dim")
    percent = round(100 * lost / sent)
    return Text(f"{percent} %" if percent else "<1 %", style="yellow")


def _by_host(report: ProbeReport, *, verbose: bool) -> Iterator[Table | Text]:
    """Those that are to blame, the worst first: the others fail with them alone."""
    leaving: dict[str, list[ProbeResult]] = {host: [] for host in report.hosts}
    arriving: dict[str, list[ProbeResult]] = {host: [] for host in report.hosts}
    for answer in report.results:
        leaving[answer.probe.source].append(answer)
        arriving[answer.probe.target].append(answer)
    worst = culprits(dict.fromkeys((answer.probe.source, answer.probe.target) for answer in report.failed))
    shown = [*worst, *(host for host in report.hosts if host not in worst)] if verbose else worst[:_HOSTS]
    if not shown:
        return
    table = _table("by host, the worst first" if verbose else "the hosts with which others fail", "host")
    for name in ("reached from it", "reaches it", "slowest ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for host in shown:
        times = [answer.rtt_ms for answer in leaving[host] if answer.reply_ok and answer.rtt_ms is not None]
        slowest = _short(max(times)) if times else "-"
        table.add_row(host, _share(leaving[host]), _share(arriving[host]), slowest)
    yield table
    if not verbose and len(worst) > len(shown):
        yield Text(f"… and {pluralize(len(worst) - len(shown), 'host')} more; -v shows all", style="dim")


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    return table


def _bad(answers: Iterable[ProbeResult]) -> int:
    return sum(not answer.ok for answer in answers)


def _share(answers: list[ProbeResult]) -> Text:
    if not answers:
        return Text("-", style="dim")
    good = len(answers) - _bad(answers)
    return Text(f"{good}/{len(answers)}", style="green" if good == len(answers) else "bold red")
