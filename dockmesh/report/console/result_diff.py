"""The differences of two results, for people."""

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
    out: Console, found: Comparison, before: MeshResult, after: MeshResult, *, brief: bool = False
) -> None:
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


def _told(result: MeshResult) -> str:
    at = f"{result.time:%Y-%m-%d %H:%M:%S} UTC, " if result.time else ""
    return f"{at}{count(result.probes, 'reached')} of {pluralize(len(result.probes), 'probe')} reached"


def _worse(found: Comparison, after: MeshResult) -> Iterator[Text]:
    """Probes that could not be made for a host that cannot be asked are told with it."""
    told: set[Any] = set()
    for host in found.unreachable:
        keys = {
            probe.key for probe in found.failing if probe.state == "unmade" and host in (probe.source, probe.target)
        }
        told |= keys
        error = f"cannot be asked any more: {after.errors[host]}"
        yield _line("✗", "bold red", host, f"{error} ({pluralize(len(keys), 'probe')} not made)")
    for probes, what in ((found.lost, "lost"), (found.broken, "new, and fails")):
        yield from _grouped("✗", "bold red", (probe for probe in probes if probe.key not in told), what)


def _better(found: Comparison) -> Iterator[Text]:
    yield from (_line("✓", "green", host, "can be asked again") for host in found.recovered_hosts)
    yield from _grouped("✓", "green", found.recovered, "reached again")


def _other(found: Comparison) -> Iterator[Text]:
    yield from (_line("+", "cyan", host, "is new") for host in found.added)
    yield from (_line("-", "yellow", host, "is no longer there") for host in found.removed)
    known = {*found.added, *found.removed}
    for probes, what in ((found.new, "was not asked before"), (found.gone, "is not asked any more")):
        yield from _grouped(
            "~", "yellow", [probe for probe in probes if not known & {probe.source, probe.target}], what
        )
    for before, probe in found.changed:
        where = f"{probe.source} → {probe.target}"
        yield _line("~", "yellow", where, f"{probe.what}: {_said(before)}, now {_said(probe)}")
    yield from _grouped("✗", "red", found.still_failing, "fails as before")


def _grouped(mark: str, style: str, probes: Iterable[ProbeResult], what: str) -> Iterator[Text]:
    for group in group_probes(probes):
        yield _line(
            mark, style, pair_text(group), f"{what}: {', '.join(group.kinds)}{f' ({group.why})' if group.why else ''}"
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


def _said(probe: ProbeResult) -> str:
    mtu = {True: ["large packets pass"], False: ["large packets do not pass"], None: []}[probe.mtu_ok]
    return ", ".join([*mtu, *([f"seen as {probe.source_seen}"] if probe.source_seen else [])])
