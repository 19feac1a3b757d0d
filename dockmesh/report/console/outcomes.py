"""The outcomes of a run on the terminal: hosts with the same outcome in one line, failures last."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from dockmesh.core.compact import describe_names
from dockmesh.core.model import Fleet
from dockmesh.core.planning.plan import Outcome
from dockmesh.core.results.model import MeshResult, ProbeKey
from dockmesh.core.text import listed
from dockmesh.report.console.own_values import without_own_values
from dockmesh.report.console.terminal import pluralize, print_line
from dockmesh.report.goal_text import JOINED, GoalText

_STYLES = {"confirmed": "green", "unchanged": "dim"}
_FAILED = "bold red"
_NAMED = 12
# Docker names a missing container by its id, which differs on each host.
_CONTAINER_ID = re.compile(r"\b[0-9a-f]{64}\b")


def print_outcomes(
    out: Console, outcomes: Sequence[Outcome], fleet: Fleet, text: GoalText = JOINED, *, brief: bool = False
) -> None:
    """Print the successful hosts unless `brief`, the counts, the warnings, and the failed hosts with their errors."""
    ordered = sorted(outcomes, key=lambda each: fleet.positions.get(each.host, len(fleet.hosts)))
    successes, failures = ([each for each in ordered if each.ok is ok] for ok in (True, False))
    for line in () if brief else _lines(successes, fleet, text):
        print_line(out, line)
    if outcomes:
        counts = Counter(_status(each, text) for each in (*successes, *failures))
        summary = ", ".join(f"{count} {status}" for status, count in counts.items())
        style = _FAILED if failures else "bold green"
        out.print(Text(f"{pluralize(len(outcomes), 'host')}: {summary}.", style=style))
    for line in _warning_lines(ordered, fleet):
        print_line(out, line)
    for line in _lines(failures, fleet, text):
        print_line(out, line)


def print_broken_before(out: Console, result: MeshResult, broken_before: Collection[ProbeKey]) -> None:
    """Print the failed probes that failed before the change as well, and therefore did not decide about it."""
    broken = [probe for probe in result.failed if probe.key in broken_before]
    if broken:
        pairs = dict.fromkeys(f"{probe.source} → {probe.target}" for probe in broken)
        text = f"{len(broken)} of these failed before the change as well: {listed([*pairs], _NAMED)}."
        out.print(Text(text, style="yellow"))


def _lines(outcomes: Iterable[Outcome], fleet: Fleet, text: GoalText) -> Iterator[Text]:
    """One line for all hosts with the same status and error, regardless of their own names and addresses."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault((each.status, _common(each.error or "", each.host, fleet)), []).append(each)
    for (_outcome, common), members in groups.items():
        first = members[0]
        status = (_status(first, text), _STYLES.get(first.status, _FAILED))
        error = common if len(members) > 1 else first.error
        yield Text.assemble(
            _heading([each.host for each in members], fleet), "  ", status, f": {error}" if error else ""
        )


def _warning_lines(outcomes: Iterable[Outcome], fleet: Fleet) -> Iterator[Text]:
    """One line for all hosts with the same warning."""
    groups: dict[str, dict[str, str]] = {}
    for each in outcomes:
        for warning in each.warnings:
            common = _CONTAINER_ID.sub("ID", _common(warning.advice, each.host, fleet))
            groups.setdefault(common, {})[each.host] = warning.advice
    for common, members in groups.items():
        advice = common if len(members) > 1 else next(iter(members.values()))
        yield Text.assemble(_heading(list(members), fleet), "  ", ("warning", "yellow"), f": {advice}")


def _common(text: str, host: str, fleet: Fleet) -> str:
    return without_own_values(text, fleet.host(host) if host in fleet.positions else None)


def _heading(hosts: Sequence[str], fleet: Fleet) -> Text:
    names = describe_names(hosts, {host.name: host.tags for host in fleet.hosts}, most=_NAMED)
    return Text.assemble((names, "bold"), (f" ({len(hosts)} hosts)" if len(hosts) > 1 else "", "dim"))


def _status(outcome: Outcome, text: GoalText) -> str:
    return text.done if outcome.status == "confirmed" else outcome.status
