"""What failed of a run of probes, for people: a line per cause, however many probes fail for it."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from shlex import quote
from typing import TypeVar

from rich.text import Text

from dockmesh.core.addresses import IPV6
from dockmesh.core.compact import compact_names
from dockmesh.core.probes.model import ProbeReport, ProbeResult
from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize

K = TypeVar("K")
V = TypeVar("V")

_FAILURES_SHOWN = 40
_NAMED = 6
# So many causes that say the same of different hosts are one; `_HOST` stands for the host in it.
_ALIKE = 3
_BUT = 2
_HOST = "\0"


def failure_lines(report: ProbeReport, told: Collection[str]) -> Iterator[Text]:
    """First what failed, then what could not be probed, then the hosts that could not be asked, but for `told`."""
    lines = [*_failed(report), *_unmade(report)]
    yield from (Text.assemble(("✗ ", "bold red"), line) for line in lines[:_FAILURES_SHOWN])
    if len(lines) > _FAILURES_SHOWN:
        yield Text(f"  … and {len(lines) - _FAILURES_SHOWN} more; --json has them all", style="dim")
    for host, error in report.errors.items():
        if host not in told:
            yield Text.assemble(("✗ ", "bold red"), (host, "bold"), f" {error}")


def _failed(report: ProbeReport) -> Iterator[Text]:
    made = [answer for answer in report.failed if answer.probed]
    hosts = {host: report.tags.get(host, ()) for host in report.hosts}
    for cause, count in _causes([answer for answer in made if answer.cause], hosts):
        yield Text.assemble(cause, (f" ({pluralize(count, 'probe')})", "dim"))
    kinds = _grouped(((each.probe.source, each.probe.target, each.reason), each) for each in made if not each.cause)
    from_them = _grouped(
        ((target, ", ".join(map(_kind, answers)), reason), source) for (source, target, reason), answers in kinds
    )
    both = _grouped(((tuple(sources), kind, reason), target) for (target, kind, reason), sources in from_them)
    for (sources, kind, reason), targets in both:
        where = f"{_named(sources, targets, hosts)} → {_named(targets, sources, hosts)}"
        yield Text.assemble((where, "bold"), f" {kind}: {reason}")


def _causes(answers: Iterable[ProbeResult], hosts: Mapping[str, Collection[str]]) -> Iterator[tuple[str, int]]:
    """The causes, and how many probes fail for each; as one, those that say the same of several hosts."""
    counts = {cause: len(failing) for cause, failing in _grouped((each.reason or "", each) for each in answers)}
    said_of = {each.reason or "": (each.probe.source, each.probe.target) for each in answers}
    forms: dict[str, dict[str, str]] = {}
    for cause, ends in said_of.items():
        for name in ends:
            forms.setdefault(re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", _HOST, cause), {})[name] = cause
    told: set[str] = set()
    for cause, count in counts.items():
        if cause in told:
            continue
        form, alike = max(
            ((each, of) for each, of in forms.items() if cause in of.values()), key=lambda one: len(one[1])
        )
        fresh = {name: other for name, other in alike.items() if other not in told}
        if _HOST in form and len(fresh) >= _ALIKE:
            told |= set(fresh.values())
            names = ",".join(compact_names(fresh, hosts))
            # A glob is for dockmesh, not for the shell that the command is typed into.
            text = form.replace(f"--limit {_HOST}", f"--limit {quote(names)}").replace(_HOST, names)
            yield text, sum(counts[other] for other in set(fresh.values()))
        else:
            yield cause, count


def _named(names: Collection[str], others: Collection[str], hosts: Mapping[str, Collection[str]]) -> str:
    """The hosts at one end of what failed; `others` are at the other."""
    rest = [host for host in hosts if host not in names and host not in others]
    if len(names) > _NAMED and len(rest) <= _BUT:
        beside = "all others" if set(others) - set(names) else "all"
        return f"{beside} but {' and '.join(rest)}" if rest else beside
    return listed(compact_names(names, hosts), _NAMED)


def _kind(answer: ProbeResult) -> str:
    return f"{answer.probe.kind}{' (IPv6)' * (answer.probe.family == IPV6)}"


def _unmade(report: ProbeReport) -> Iterator[Text]:
    """What could not be probed for another reason than that a host could not be asked, which is told of that host."""
    ends = ((answer, {answer.probe.source, answer.probe.target}) for answer in report.not_sent)
    left = ((answer.reason or "", answer) for answer, names in ends if not names & set(report.errors))
    for reason, answers in _grouped(left):
        yield Text.assemble(reason, (f" ({pluralize(len(answers), 'probe')} not made)", "dim"))


def _grouped(pairs: Iterable[tuple[K, V]]) -> Iterable[tuple[K, list[V]]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups.items()
