"""The outcomes of a run on the terminal: hosts with the same outcome in one line, failures last."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from dockmesh.core.compact import describe_names
from dockmesh.core.model import Fleet
from dockmesh.core.planning.plan import Outcome
from dockmesh.report.console.own_values import without_own_values
from dockmesh.report.console.terminal import pluralize, print_line
from dockmesh.report.goal_text import JOINED, GoalText

_STYLES = {"confirmed": "green", "unchanged": "dim"}
_FAILED = "bold red"
_NAMED = 12


def print_outcomes(
    out: Console, outcomes: Sequence[Outcome], fleet: Fleet, text: GoalText = JOINED, *, brief: bool = False
) -> None:
    """Print the successful hosts unless `brief`, then the counts, then the failed hosts with their errors."""
    ordered = sorted(outcomes, key=lambda each: fleet.positions.get(each.host, len(fleet.hosts)))
    successes, failures = ([each for each in ordered if each.ok is ok] for ok in (True, False))
    for line in () if brief else _lines(successes, fleet, text):
        print_line(out, line)
    if outcomes:
        counts = Counter(_status(each, text) for each in (*successes, *failures))
        summary = ", ".join(f"{count} {status}" for status, count in counts.items())
        style = _FAILED if failures else "bold green"
        out.print(Text(f"{pluralize(len(outcomes), 'host')}: {summary}.", style=style))
    for line in _lines(failures, fleet, text):
        print_line(out, line)


def _lines(outcomes: Iterable[Outcome], fleet: Fleet, text: GoalText) -> Iterator[Text]:
    """One line for all hosts with the same status and error, regardless of their own names and addresses."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for each in outcomes:
        host = fleet.host(each.host) if each.host in fleet.positions else None
        groups.setdefault((each.status, without_own_values(each.error or "", host)), []).append(each)
    tags = {host.name: host.tags for host in fleet.hosts}
    for (_outcome, common), members in groups.items():
        first = members[0]
        names = describe_names([each.host for each in members], tags, most=_NAMED)
        count = f" ({len(members)} hosts)" if len(members) > 1 else ""
        status = (_status(first, text), _STYLES.get(first.status, _FAILED))
        error = common if len(members) > 1 else first.error
        yield Text.assemble((names, "bold"), (count, "dim"), "  ", status, f": {error}" if error else "")


def _status(outcome: Outcome, text: GoalText) -> str:
    return text.done if outcome.status == "confirmed" else outcome.status
