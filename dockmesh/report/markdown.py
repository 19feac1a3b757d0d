"""A result for people who read Markdown: the summary of a CI run, a comment, a wiki."""

import re
from collections.abc import Iterable, Iterator, Sequence

from dockmesh.core.addresses import Family
from dockmesh.core.results.group import FailureCause, culprit_counts, group_by_cause
from dockmesh.core.results.model import Result, ResultRow, count, slowest_ms
from dockmesh.report.console.terminal import pluralize
from dockmesh.report.spans import rows_text

_MATRIX_HOSTS = 12
_CAUSES_SHOWN = 40
_HOSTS_SHOWN = 20
# A backslash before these, and what hosts say is text: no markup, HTML, link, mention or formula, and no end of a cell.
_SPECIAL = re.compile(r"[#$&*<@\[\\\]_`|~]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def render(result: Result) -> str:
    """A heading that says how it is, a point per cause, and a table: pairs of a small mesh, hosts of a large one."""
    parts = (
        [f"## {_heading(result)}"],
        [f"{result.time:%Y-%m-%d %H:%M:%S} UTC"] if result.time else [],
        list(_causes(result)),
        *(_matrices(result) if len(result.hosts) <= _MATRIX_HOSTS else [list(_hosts(result))]),
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def text(said: str) -> str:
    """What others said, as Markdown that shows just that."""
    return _SPECIAL.sub(r"\\\g<0>", said)


def _heading(result: Result) -> str:
    mesh = text(result.mesh or "mesh")
    total = pluralize(len(result.rows), "probe")
    if result.ok:
        return f"✅ {mesh}: all {total} reached" if result.rows else f"✅ {mesh}: nothing to probe"
    failed, unmade = count(result.rows, "failed"), count(result.rows, "unmade")
    counts = [f"{many} {what}" for many, what in ((failed, "failed"), (unmade, "could not be made")) if many]
    silent = [f"{pluralize(len(result.errors), 'host')} could not be asked"] if result.errors else []
    of_probes = [f"of {total}, {' and '.join(counts)}"] if counts else []
    return f"❌ {mesh}: {'; '.join((*of_probes, *silent))}"


def _causes(result: Result) -> Iterator[str]:
    found = group_by_cause(result)
    yield from map(_cause, found[:_CAUSES_SHOWN])
    if len(found) > _CAUSES_SHOWN:
        yield f"- … and {pluralize(len(found) - _CAUSES_SHOWN, 'more cause')}"


def _cause(cause: FailureCause) -> str:
    if cause.host is not None:
        return f"- **{text(cause.host)}**: {text(cause.reason)} ({pluralize(len(cause.rows), 'probe')} not made)"
    where = text(rows_text(cause.rows))
    return f"- **{text(cause.reason)}** ({pluralize(len(cause.rows), 'probe')}): {where}"


def _matrices(result: Result) -> Iterator[list[str]]:
    for family in result.families if result.rows else ():
        if len(result.families) > 1:
            yield [f"Over IPv{family}:"]
        yield list(_matrix(result, family))


def _matrix(result: Result, family: Family) -> Iterator[str]:
    names = [each.host for each in result.hosts]
    sources = dict.fromkeys(source for source, _target in result.pairs)
    yield from _table([r"from \\ to", *names], ([text(each), *_cells(result, family, each)] for each in sources))


def _cells(result: Result, family: Family, source: str) -> Iterator[str]:
    for target in result.hosts:
        yield _cell([row for row in result.pairs.get((source, target.host), ()) if row.family == family])


def _cell(rows: Sequence[ResultRow]) -> str:
    marks = " ".join(map(_mark, rows))
    slowest = slowest_ms(rows)
    return f"{marks} {slowest:.1f} ms" if slowest is not None else marks or "-"


def _mark(row: ResultRow) -> str:
    return {"reached": f"✓{row.ttl or ''}", "failed": "❌", "unmade": "❔"}[row.state]


def _hosts(result: Result) -> Iterator[str]:
    """Of a large mesh only the hosts that the failures have in common: the rest is as the heading says."""
    found = list(culprit_counts(result.failed))
    if found:
        rows = (_host(result, host) for host in found[:_HOSTS_SHOWN])
        yield from _table(["host", "reached from it", "reaches it"], rows)
    if len(found) > _HOSTS_SHOWN:
        yield f"\n… and {pluralize(len(found) - _HOSTS_SHOWN, 'more host')}"


def _host(result: Result, host: str) -> list[str]:
    leaving = [row for row in result.rows if row.source == host]
    arriving = [row for row in result.rows if row.target == host]
    return [text(host), _share(leaving), _share(arriving)]


def _share(rows: Sequence[ResultRow]) -> str:
    return f"{count(rows, 'reached')}/{len(rows)}" if rows else "-"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from map(_line, (head, ["---", *[":-:"] * (len(head) - 1)], *rows))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
