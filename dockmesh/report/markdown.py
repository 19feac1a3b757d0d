"""The Markdown report for CI summaries, comments and wikis."""

import re
from collections.abc import Iterable, Iterator, Sequence

from dockmesh.core.addresses import Family
from dockmesh.core.compact import describe_names
from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.group import FailureCause, group_by_cause
from dockmesh.core.results.model import MeshResult, ProbeResult, count, slowest_ms
from dockmesh.report.console.terminal import pluralize
from dockmesh.report.probe_text import probes_text
from dockmesh.report.unconfirmed_text import unconfirmed_lines

_MATRIX_HOSTS = 12
_CAUSES_SHOWN = 40
_HOSTS_SHOWN = 20
# Escaping these characters prevents markup, HTML, links, mentions, formulas and cell ends in texts of hosts.
_SPECIAL = re.compile(r"[#$&*<@\[\\\]_`|~]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def render(result: MeshResult) -> str:
    """The result as Markdown: a summary, a list of causes, and a table of pairs (small mesh) or hosts (large mesh)."""
    parts = (
        [f"## {_heading(result)}"],
        [f"{result.time:%Y-%m-%d %H:%M:%S} UTC"] if result.time else [],
        list(_unconfirmed(result)),
        list(_causes(result)),
        *(_matrices(result) if len(result.hosts) <= _MATRIX_HOSTS else [list(_hosts(result))]),
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def text(plain: str) -> str:
    """Escape a text so that Markdown shows it unchanged."""
    return _SPECIAL.sub(r"\\\g<0>", plain)


def _heading(result: MeshResult) -> str:
    mesh = text(result.mesh or "mesh")
    total = pluralize(len(result.probes), "probe")
    unprobed = f" ({pluralize(result.unprobed, 'other pair')} not probed)" if result.unprobed else ""
    if result.ok:
        return (
            f"✅ {mesh}: all {total} reached{unprobed}" if result.probes else f"✅ {mesh}: nothing to probe{unprobed}"
        )
    failed, unmade = count(result.failed, "failed"), count(result.failed, "unmade")
    counts = [f"{number} {state}" for number, state in ((failed, "failed"), (unmade, "could not be made")) if number]
    hosts = [f"{pluralize(len(result.errors), 'host')} could not be asked"] if result.errors else []
    probes = [f"of {total}, {' and '.join(counts)}"] if counts else []
    pending = [f"{pluralize(len(result.pending), 'host')} with a pending change"] if result.pending else []
    return f"❌ {mesh}: {'; '.join((*probes, *hosts, *pending))}{unprobed}"


def _unconfirmed(result: MeshResult) -> Iterator[str]:
    for hosts, reason in unconfirmed_lines(result):
        yield f"- **{text(describe_names(hosts, result.tags, most=_HOSTS_SHOWN))}**: {text(reason)}"


def _causes(result: MeshResult) -> Iterator[str]:
    causes = group_by_cause(result)
    yield from map(_cause, causes[:_CAUSES_SHOWN])
    if len(causes) > _CAUSES_SHOWN:
        yield f"- … and {pluralize(len(causes) - _CAUSES_SHOWN, 'more cause')}"


def _cause(cause: FailureCause) -> str:
    if cause.host is not None:
        return f"- **{text(cause.host)}**: {text(cause.reason)} ({pluralize(len(cause.probes), 'probe')} not made)"
    where = text(probes_text(cause.probes))
    return f"- **{text(cause.reason)}** ({pluralize(len(cause.probes), 'probe')}): {where}"


def _matrices(result: MeshResult) -> Iterator[list[str]]:
    for family in result.families if result.probes else ():
        if len(result.families) > 1:
            yield [f"Over IPv{family}:"]
        yield list(_matrix(result, family))


def _matrix(result: MeshResult, family: Family) -> Iterator[str]:
    names = [each.host for each in result.hosts]
    sources = dict.fromkeys(source for source, _target in result.pairs)
    yield from _table([r"from \\ to", *names], ([text(each), *_cells(result, family, each)] for each in sources))


def _cells(result: MeshResult, family: Family, source: str) -> Iterator[str]:
    for target in result.hosts:
        yield _cell([probe for probe in result.pairs.get((source, target.host), ()) if probe.family == family])


def _cell(probes: Sequence[ProbeResult]) -> str:
    marks = " ".join(map(_mark, probes))
    slowest = slowest_ms(probes)
    return f"{marks} {slowest:.1f} ms" if slowest is not None else marks or "-"


def _mark(probe: ProbeResult) -> str:
    return {"reached": f"✓{probe.ttl or ''}", "failed": "❌", "unmade": "❔"}[probe.state]


def _hosts(result: MeshResult) -> Iterator[str]:
    """A table of the hosts that the failures have in common."""
    names = culprits((probe.source, probe.target) for probe in result.failed)
    if names:
        rows = (_host(result, host) for host in names[:_HOSTS_SHOWN])
        yield from _table(["host", "reached from it", "reaches it"], rows)
    if len(names) > _HOSTS_SHOWN:
        yield f"\n… and {pluralize(len(names) - _HOSTS_SHOWN, 'more host')}"


def _host(result: MeshResult, host: str) -> list[str]:
    leaving = [probe for probe in result.probes if probe.source == host]
    arriving = [probe for probe in result.probes if probe.target == host]
    return [text(host), _share(leaving), _share(arriving)]


def _share(probes: Sequence[ProbeResult]) -> str:
    return f"{count(probes, 'reached')}/{len(probes)}" if probes else "-"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from map(_line, (head, ["---", *[":-:"] * (len(head) - 1)], *rows))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
