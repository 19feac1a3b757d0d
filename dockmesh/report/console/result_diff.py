"""What tells two results apart, for scripts and for people."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from dockmesh.core.results.compare import Comparison
from dockmesh.core.results.group import group_rows
from dockmesh.core.results.model import Result, ResultRow, count
from dockmesh.report.console.terminal import pluralize, print_line
from dockmesh.report.spans import pair_text

DIFF = "dockmesh/diff/1"
_SHOWN = 40


def comparison_document(found: Comparison, after: Result) -> dict[str, Any]:
    """Every probe and host that differs, in lists by what became of it."""
    rows = {
        "lost": found.lost,
        "broken": found.broken,
        "still_failing": found.still_failing,
        "mended": found.recovered,
        "new": found.new,
        "gone": found.gone,
    }
    before_ms, after_ms = found.rtt_ms or (None, None)
    return {
        "format": DIFF,
        "worse": found.worse,
        **{name: [_row(row) for row in each] for name, each in rows.items()},
        "changed": [{**_row(row), "before": _means(before), "after": _means(row)} for before, row in found.changed],
        "hosts": {
            "new": list(found.added),
            "gone": list(found.removed),
            "lost": [
                {"host": host, "code": after.codes[host], "error": after.errors[host]} for host in found.unreachable
            ],
            "mended": list(found.recovered_hosts),
        },
        "rtt_ms": {"before": before_ms, "after": after_ms},
        "summary": {**{name: len(each) for name, each in rows.items()}, "changed": len(found.changed)},
    }


def print_comparison(out: Console, found: Comparison, before: Result, after: Result, *, brief: bool = False) -> None:
    """What is worse first, then what is better, then what is merely other; a line for all that changed alike.

    If `brief`, only what is worse.
    """
    out.print(Text(f"{_told(before)} → {_told(after)}", style="bold"))
    lines = [*_worse(found, after), *(() if brief else (*_better(found), *_other(found)))]
    for line in lines[:_SHOWN]:
        print_line(out, line)
    if len(lines) > _SHOWN:
        out.print(Text(f"  … and {len(lines) - _SHOWN} more; --json has them all", style="dim"))
    out.print(_summary(found))


def _told(result: Result) -> str:
    at = f"{result.time:%Y-%m-%d %H:%M:%S} UTC, " if result.time else ""
    return f"{at}{count(result.rows, 'reached')} of {pluralize(len(result.rows), 'probe')} reached"


def _worse(found: Comparison, after: Result) -> Iterator[Text]:
    """Probes that could not be made for a host that cannot be asked are told with it."""
    told: set[Any] = set()
    for host in found.unreachable:
        keys = {row.key for row in found.failing if row.state == "unmade" and host in (row.source, row.target)}
        told |= keys
        error = f"cannot be asked any more: {after.errors[host]}"
        yield _line("✗", "bold red", host, f"{error} ({pluralize(len(keys), 'probe')} not made)")
    for rows, what in ((found.lost, "lost"), (found.broken, "new, and fails")):
        yield from _grouped("✗", "bold red", (row for row in rows if row.key not in told), what)


def _better(found: Comparison) -> Iterator[Text]:
    yield from (_line("✓", "green", host, "can be asked again") for host in found.recovered_hosts)
    yield from _grouped("✓", "green", found.recovered, "reached again")


def _other(found: Comparison) -> Iterator[Text]:
    yield from (_line("+", "cyan", host, "is new") for host in found.added)
    yield from (_line("-", "yellow", host, "is no longer there") for host in found.removed)
    known = {*found.added, *found.removed}
    for rows, what in ((found.new, "was not asked before"), (found.gone, "is not asked any more")):
        yield from _grouped("~", "yellow", [row for row in rows if not known & {row.source, row.target}], what)
    for before, row in found.changed:
        where = f"{row.source} → {row.target}"
        yield _line("~", "yellow", where, f"{row.what}: {_said(before)}, now {_said(row)}")
    yield from _grouped("✗", "red", found.still_failing, "fails as before")


def _grouped(mark: str, style: str, rows: Iterable[ResultRow], what: str) -> Iterator[Text]:
    for span in group_rows(rows):
        yield _line(
            mark, style, pair_text(span), f"{what}: {', '.join(span.kinds)}{f' ({span.why})' if span.why else ''}"
        )


def _line(mark: str, style: str, subject: str, told: str) -> Text:
    return Text.assemble((f"{mark} ", style), (subject, "bold"), f" {told}")


def _summary(found: Comparison) -> Text:
    if found.empty:
        told = Text(
            "Nothing differs" + (", and nothing that failed is mended." if found.still_failing else "."), style="green"
        )
    else:
        counts = ((len(found.lost), "lost"), (len(found.broken), "new and failing"), (len(found.recovered), "mended"))
        parts = ", ".join(f"{number} {what}" for number, what in counts if number) or "no probe lost, none mended"
        told = Text(f"Probes: {parts}.", style="bold red" if found.worse else "bold green")
    if found.rtt_ms:
        before, after = found.rtt_ms
        told.append(f" Median round trip: {before:.1f} ms, now {after:.1f} ms.", style="dim")
    return told


def _row(row: ResultRow) -> dict[str, Any]:
    return {
        "source": row.source,
        "target": row.target,
        "kind": row.kind,
        "family": row.family,
        "code": None if row.ok else row.code,
        "reason": None if row.ok else row.why,
    }


def _means(row: ResultRow) -> dict[str, Any]:
    return {"mtu_ok": row.mtu_ok, "source_seen": row.source_seen}


def _said(row: ResultRow) -> str:
    mtu = {True: ["large packets pass"], False: ["large packets do not pass"], None: []}[row.mtu_ok]
    return ", ".join([*mtu, *([f"seen as {row.source_seen}"] if row.source_seen else [])])
