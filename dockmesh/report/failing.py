"""What failed of a run of probes, for people: a line per cause, however many probes fail for it."""

from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from rich.text import Text

from dockmesh.core.addresses import IPV6
from dockmesh.core.inventory.wording import listed
from dockmesh.core.reach import Reachability, Report
from dockmesh.report.console import counted

K = TypeVar("K")
V = TypeVar("V")

_FAILURES_SHOWN = 40
_NAMED = 6


def failures(report: Report, told: Collection[str]) -> Iterator[Text]:
    """First what failed, then what could not be probed, then the hosts that could not be asked, but for `told`."""
    lines = [*_failed(report), *_unmade(report)]
    yield from (Text.assemble(("✗ ", "bold red"), line) for line in lines[:_FAILURES_SHOWN])
    if len(lines) > _FAILURES_SHOWN:
        yield Text(f"  … and {len(lines) - _FAILURES_SHOWN} more; --json has them all", style="dim")
    for host, error in report.errors.items():
        if host not in told:
            yield Text.assemble(("✗ ", "bold red"), (host, "bold"), f" {error}")


def _failed(report: Report) -> Iterator[Text]:
    made = [answer for answer in report.failed if answer.probed]
    for cause, answers in _grouped((answer.reason or "", answer) for answer in made if answer.cause):
        yield Text.assemble(cause, (f" ({counted(len(answers), 'probe')})", "dim"))
    kinds = _grouped(((each.probe.source, each.probe.target, each.reason), each) for each in made if not each.cause)
    from_them = _grouped(
        ((target, ", ".join(map(_kind, answers)), reason), source) for (source, target, reason), answers in kinds
    )
    both = _grouped(((tuple(sources), kind, reason), target) for (target, kind, reason), sources in from_them)
    for (sources, kind, reason), targets in both:
        where = f"{listed(sources, _NAMED)} → {listed(targets, _NAMED)}"
        yield Text.assemble((where, "bold"), f" {kind}: {reason}")


def _kind(answer: Reachability) -> str:
    return f"{answer.probe.kind}{' (IPv6)' * (answer.probe.family == IPV6)}"


def _unmade(report: Report) -> Iterator[Text]:
    """What could not be probed for another reason than that a host could not be asked, which is told of that host."""
    ends = ((answer, {answer.probe.source, answer.probe.target}) for answer in report.unmade)
    left = ((answer.reason or "", answer) for answer, names in ends if not names & set(report.errors))
    for reason, answers in _grouped(left):
        yield Text.assemble(reason, (f" ({counted(len(answers), 'probe')} not made)", "dim"))


def _grouped(pairs: Iterable[tuple[K, V]]) -> Iterable[tuple[K, list[V]]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups.items()
