"""A forecast on the terminal, and the measurements that differ from it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from dockmesh.core.compact import describe_names
from dockmesh.core.forecast.impact import MAX_HOSTS, Effect, Impact, ImpactRow, Misprediction
from dockmesh.core.forecast.predict import PAIR_STATES, PROBE_ENDS, PairState
from dockmesh.core.model import Fleet
from dockmesh.report.console.terminal import pluralize, print_line

_NAMED, _LINES = 6, 12
_SIGNS: Mapping[Effect, tuple[str, str]] = {
    "lost": ("✗ lost:", "bold red"),
    "unknown": ("? unknown:", "yellow"),
    "failing": ("✗ still failing:", "bold"),
    "gained": ("+ gained:", "green"),
}
_INTENDED = "- lost, as intended:", "dim"


def print_forecast(out: Console, impact: Impact | None, fleet: Fleet, *, losses_intended: bool = False) -> None:
    """Print how many probes succeed before and after, then the rows by effect with their causes.

    `losses_intended`: the goal takes hosts out of the mesh, so lost probes are not alarming.
    """
    if impact is None:
        if len(fleet.hosts) > MAX_HOSTS:
            out.print(Text(f"No forecast: the fleet has {len(fleet.hosts)} hosts, more than {MAX_HOSTS}."))
        return
    print_line(out, Text(_summary(impact), style="bold"))
    for effect, sign_and_style in _SIGNS.items():
        sign, style = _INTENDED if effect == "lost" and losses_intended else sign_and_style
        lines = list(_lines([row for row in impact.rows if row.effect == effect], fleet))
        for line in lines[:_LINES]:
            print_line(out, Text.assemble((f"{sign} ", style), line), 2)
        if len(lines) > _LINES:
            print_line(out, Text(f"{sign} {len(lines) - _LINES} more lines; --json has them all", style=style), 2)


def _summary(impact: Impact) -> str:
    counted = f"Forecast for {pluralize(sum(impact.after.values()), 'probe')}"
    now, then = _counts(impact.before), _counts(impact.after)
    return f"{counted}: {then}." if now == then else f"{counted}: {then} after this change; {now} now."


def _counts(states: Mapping[PairState, int]) -> str:
    return ", ".join(f"{states[state]} {state}" for state in PAIR_STATES)


def print_mispredictions(out: Console, mispredictions: Iterable[Misprediction]) -> None:
    """Print each probe with another result than predicted."""
    for each in mispredictions:
        probe = each.probe
        text = f"{probe.source} → {probe.target} ({probe.kind}): predicted {each.predicted}, measured {each.measured}"
        print_line(out, Text.assemble(("≠ ", "bold yellow"), f"{text}{f': {each.why}' if each.why else ''}"))


@dataclass(frozen=True, slots=True)
class _Alike:
    """The common part of rows of several sources. `targets` is None for all other hosts of the fleet."""

    kinds: tuple[str, ...]
    targets: tuple[str, ...] | None
    why: str


def _lines(rows: Iterable[ImpactRow], fleet: Fleet) -> Iterator[str]:
    """One line for all sources and targets whose probes of the same kinds have the same cause."""
    groups: dict[_Alike, list[tuple[str, str]]] = {}
    for (source, targets, why), kinds in _kinds(rows).items():
        others = {host.name for host in fleet.hosts} - {source}
        everyone = len(others) > 1 and others <= set(targets)
        neutral = _without_names(why, source, targets)
        groups.setdefault(_Alike(kinds, None if everyone else targets, neutral), []).append((source, why))
    tags = {host.name: host.tags for host in fleet.hosts}
    for alike, members in _with_equal_sources(groups):
        sources = describe_names([source for source, _why in members], tags, most=_NAMED)
        targets_text = describe_names(alike.targets, tags, most=_NAMED) if alike.targets else "all others"
        why = alike.why if len(members) > 1 or alike not in groups else members[0][1]
        kinds_text = "" if len(alike.kinds) == len(PROBE_ENDS) else f" ({', '.join(alike.kinds)})"
        yield f"{sources} → {targets_text}{kinds_text}{f': {why}' if why else ''}"


def _with_equal_sources(
    groups: Mapping[_Alike, list[tuple[str, str]]],
) -> Iterator[tuple[_Alike, list[tuple[str, str]]]]:
    """Merge groups of single targets that differ in the target only."""
    merged: dict[tuple[object, ...], list[_Alike]] = {}
    for alike, members in groups.items():
        single = alike.targets is not None and len(alike.targets) == 1
        sources = tuple(source for source, _why in members)
        merged.setdefault((alike.kinds, alike.why, sources, None if single else alike.targets), []).append(alike)
    for parts in merged.values():
        first = parts[0]
        targets = tuple(name for part in parts for name in part.targets or ()) or None
        yield _Alike(first.kinds, targets, first.why), groups[first]


def _kinds(rows: Iterable[ImpactRow]) -> Mapping[tuple[str, tuple[str, ...], str], tuple[str, ...]]:
    """Join the kinds of rows with the same source, targets and cause."""
    kinds: dict[tuple[str, tuple[str, ...], str], tuple[str, ...]] = {}
    for row in rows:
        key = (row.source, row.targets, row.why.text if row.why else "")
        kinds[key] = (*kinds.get(key, ()), row.kind)
    return kinds


def _without_names(why: str, source: str, targets: Sequence[str]) -> str:
    """Replace the names of the source and of a single target, so that the cause fits every host of a line."""
    why = re.sub(rf"(?<![\w.-]){re.escape(source)}(?![\w-])", "each source", why)
    if len(targets) == 1:
        why = re.sub(rf"(?<![\w.-]){re.escape(targets[0])}(?![\w-])", "each target", why)
    return why
