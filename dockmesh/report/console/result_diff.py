"""The differences of two results on the terminal."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from dockmesh.core.results.compare import Comparison
from dockmesh.core.results.group import group_probes
from dockmesh.core.results.model import MeshResult, ProbeResult, count
from dockmesh.report.console.terminal import pluralize, print_line
from dockmesh.report.probe_text import pair_text

_SHOWN = 40


def print_comparison(
    out: Console, comparison: Comparison, before: MeshResult, after: MeshResult, *, brief: bool = False
) -> None:
    """Print what got worse, then what improved, then other differences, with one line for equal changes.

    With `brief`, print only what got worse.
    """
    out.print(Text(f"{_totals(before)} → {_totals(after)}", style="bold"))
    lines = [*_worse(comparison, after), *(() if brief else (*_better(comparison), *_other(comparison)))]
    for line in lines[:_SHOWN]:
        print_line(out, line)
    if len(lines) > _SHOWN:
        out.print(Text(f"  … and {len(lines) - _SHOWN} more; --json has them all", style="dim"))
    out.print(_summary(comparison))


def _totals(result: MeshResult) -> str:
    at = f"{result.time:%Y-%m-%d %H:%M:%S} UTC, " if result.time else ""
    return f"{at}{count(result.probes, 'reached')} of {pluralize(len(result.probes), 'probe')} reached"


def _worse(comparison: Comparison, after: MeshResult) -> Iterator[Text]:
    """Yield the lines of what got worse. Unmade probes of an unreachable host belong to the line of that host."""
    covered: set[Any] = set()
    for host in comparison.unreachable:
        keys = {
            probe.key
            for probe in comparison.failing
            if probe.state == "unmade" and host in (probe.source, probe.target)
        }
        covered |= keys
        error = f"can no longer be read: {after.errors[host]}"
        yield _line("✗", "bold red", host, f"{error} ({pluralize(len(keys), 'probe')} not made)")
    for probes, text in ((comparison.lost, "lost"), (comparison.broken, "new and failing")):
        yield from _grouped("✗", "bold red", (probe for probe in probes if probe.key not in covered), text)


def _better(comparison: Comparison) -> Iterator[Text]:
    yield from (_line("✓", "green", host, "can be read again") for host in comparison.recovered_hosts)
    yield from _grouped("✓", "green", comparison.recovered, "reached again")


def _other(comparison: Comparison) -> Iterator[Text]:
    yield from (_line("+", "cyan", host, "is new") for host in comparison.added)
    yield from (_line("-", "yellow", host, "was removed") for host in comparison.removed)
    known = {*comparison.added, *comparison.removed}
    for probes, text in ((comparison.new, "was not probed before"), (comparison.gone, "is no longer probed")):
        yield from _grouped(
            "~", "yellow", [probe for probe in probes if not known & {probe.source, probe.target}], text
        )
    for before, probe in comparison.changed:
        pair = f"{probe.source} → {probe.target}"
        yield _line("~", "yellow", pair, f"{probe.what}: {_details(before)}, now {_details(probe)}")
    yield from _grouped("✗", "red", comparison.still_failing, "fails as before")


def _grouped(mark: str, style: str, probes: Iterable[ProbeResult], text: str) -> Iterator[Text]:
    for group in group_probes(probes):
        yield _line(
            mark, style, pair_text(group), f"{text}: {', '.join(group.kinds)}{f' ({group.why})' if group.why else ''}"
        )


def _line(mark: str, style: str, subject: str, text: str) -> Text:
    return Text.assemble((f"{mark} ", style), (subject, "bold"), f" {text}")


def _summary(comparison: Comparison) -> Text:
    if comparison.empty:
        same = "No differences" + ("; the same probes still fail." if comparison.still_failing else ".")
        summary = Text(same, style="green")
    else:
        counts = (
            (len(comparison.lost), "lost"),
            (len(comparison.broken), "new and failing"),
            (len(comparison.recovered), "recovered"),
        )
        parts = ", ".join(f"{number} {text}" for number, text in counts if number) or "none lost, none recovered"
        summary = Text(f"Probes: {parts}.", style="bold red" if comparison.worse else "bold green")
    if comparison.rtt_ms:
        before, after = comparison.rtt_ms
        summary.append(f" Median round trip: {before:.1f} ms, now {after:.1f} ms.", style="dim")
    return summary


def _details(probe: ProbeResult) -> str:
    mtu = {True: ["large packets pass"], False: ["large packets do not pass"], None: []}[probe.mtu_ok]
    return ", ".join([*mtu, *([f"seen as {probe.source_seen}"] if probe.source_seen else [])])
