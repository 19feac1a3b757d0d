"""A forecast, and where measurement differs from it, for people."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from dockmesh.core.forecast.impact import Impact, ImpactRow, Misprediction
from dockmesh.report.console.terminal import pluralize, print_line

_NAMED, _LINES = 6, 12
_SIGNS = {
    "lost": ("✗ lost", "bold red"),
    "unknown": ("? unknown", "yellow"),
    "failing": ("✗ as before", "bold"),
    "gained": ("+ gained", "green"),
}


def print_forecast(out: Console, seen: Impact | None) -> None:
    """How many probes are reached before and after, and below what is lost, unknown, or failing, with its cause."""
    if seen is None:
        return
    probes = pluralize(sum(seen.after.values()), "probe")
    gist = f"Foreseen: {seen.after['reached']} of {probes} reached after this, {seen.before['reached']} now."
    out.print(Text(gist, style="bold"))
    for turn, (sign, style) in _SIGNS.items():
        lines = list(_lines([shift for shift in seen.rows if shift.effect == turn]))
        for line in lines[:_LINES]:
            print_line(out, Text.assemble((f"{sign} ", style), line), 2)
        if len(lines) > _LINES:
            print_line(out, Text(f"{sign}: {len(lines) - _LINES} more lines, which --json has", style=style), 2)


def print_mispredictions(out: Console, mispredictions: Iterable[Misprediction]) -> None:
    """Where measurement differs from the forecast."""
    for each in mispredictions:
        probe = each.probe
        what = f"{probe.source} → {probe.target}, {_kind(probe.kind)}: foreseen {each.predicted}, found {each.measured}"
        print_line(out, Text.assemble(("≠ ", "bold yellow"), f"{what}{f' ({each.why})' if each.why else ''}"))


def _lines(shifts: Iterable[ImpactRow]) -> Iterator[str]:
    """Hosts from which the same is foreseen of the same kinds to the same hosts share a line."""
    kinds: dict[tuple[str, tuple[str, ...], str | None], list[str]] = {}
    for shift in shifts:
        why = shift.why.text if shift.why else None
        kinds.setdefault((shift.source, shift.targets, why), []).append(_kind(shift.kind))
    for (source, targets, why), named in kinds.items():
        more = f" and {len(targets) - _NAMED} more" if len(targets) > _NAMED else ""
        yield f"{source} → {', '.join(targets[:_NAMED])}{more}, {', '.join(named)}{f': {why}' if why else ''}"


def _kind(kind: str) -> str:
    return kind.replace("-", " → ")
