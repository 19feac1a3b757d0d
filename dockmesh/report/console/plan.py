"""A plan for people: host by host what would change, and why."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from dockmesh.core.names import DAEMON_JSON
from dockmesh.core.planning.plan import HostPlan, Plan
from dockmesh.core.state.diff import Change
from dockmesh.core.state.resources import File, Resource, Unit, key_of
from dockmesh.report.console.resource_diff import diff_lines, has_lines
from dockmesh.report.console.terminal import pluralize, print_line
from dockmesh.report.goal_text import JOINED, GoalText
from dockmesh.report.redaction import redact

_SIGNS = {
    "add": ("+", "green"),
    "change": ("~", "yellow"),
    "remove": ("-", "red"),
    "restart": ("!", "magenta"),
}
_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_DIFF_LINES = 24
_INDENT = 2


def print_plan(
    out: Console, plan: Plan, words: GoalText = JOINED, *, verbose: bool = False, brief: bool = False
) -> None:
    """What would change, host by host, and why; the hosts that cannot be changed last.

    Long texts, and the hosts of which there is nothing to say, only if `verbose`; if `brief`, none but the latter.
    """
    for host in sorted(plan.hosts, key=_is_left_alone):
        if brief and not _is_left_alone(host):
            continue
        lines = list(_host_lines(host, verbose=verbose))
        if not lines and verbose:
            lines = [Text(words.unchanged, style="dim")]
        if lines:
            out.print(Text(host.host, style="bold"))
        for line in lines:
            print_line(out, line, _INDENT)
    if plan.empty and plan.clean:
        out.print(Text(f"Nothing to do: {pluralize(len(plan.hosts), 'host')} {words.unchanged}.", style="green"))
        return
    if counts := list(_counts(plan, words)):
        out.print(Text(f"{pluralize(len(plan.hosts), 'host')}: {', '.join(counts)}", style="bold"))
    if not plan.clean:
        out.print(Text(f"Left alone: {', '.join(_left_alone(plan.hosts))}.", style="bold red"))


def _is_left_alone(host: HostPlan) -> bool:
    return bool(host.conflicts) or host.error is not None


def _counts(plan: Plan, words: GoalText) -> Iterator[str]:
    yield from (f"{count} to {action}" for action, count in plan.counts.items() if count)
    done = sum(not host.changes and not _is_left_alone(host) for host in plan.hosts)
    if done and plan.empty:
        yield f"{done} {words.unchanged}"


def _left_alone(hosts: Iterable[HostPlan]) -> Iterator[str]:
    found = [len(host.conflicts) for host in hosts if host.conflicts]
    if found:
        yield f"{pluralize(len(found), 'host')} with {pluralize(sum(found), 'conflict')}"
    lost = sum(host.unreachable for host in hosts)
    if lost:
        yield f"{pluralize(lost, 'host')} that could not be reached"
    if odd := sum(host.error is not None for host in hosts) - lost:
        yield f"{pluralize(odd, 'host')} that cannot be worked with"


def _host_lines(plan: HostPlan, *, verbose: bool) -> Iterator[Text]:
    for change in plan.changes:
        yield from _change_lines(change, verbose=verbose)
    for conflict in plan.conflicts:
        yield Text.assemble(("✗ ", "bold red"), (conflict.key, "bold"), f": {conflict.advice}")
    for note in plan.notes:
        yield Text.assemble(("· ", "yellow"), (note.key, "bold"), f": {note.advice}")
    if plan.error is not None:
        yield Text.assemble(("✗ ", "bold red"), plan.error)


def _change_lines(change: Change, *, verbose: bool) -> Iterator[Text]:
    sign, style = _SIGNS[change.action]
    kind, key = key_of(change.resource)
    lines = list(diff_lines(change))
    gist = "" if has_lines(change) else f" {' '.join(lines)}"
    yield Text.assemble((f"{sign} {kind} {key}{gist}", style), "  ", (f"({change.reason})", "dim"))
    if gist or (_our_own(change.resource) and not verbose):
        return
    shown = lines if verbose or len(lines) <= _DIFF_LINES else lines[:_DIFF_LINES]
    yield from (Text(f"    {redact(line)}", style=_STYLES.get(line[:1], "dim")) for line in shown)
    if len(shown) < len(lines):
        yield Text(f"    … and {len(lines) - len(shown)} more lines; -v shows them", style="dim")


def _our_own(resource: Resource) -> bool:
    """Whether the text is dockmesh's own affair, which says nothing new about what a host will let in or send where."""
    return isinstance(resource, Unit) or (isinstance(resource, File) and resource.path != DAEMON_JSON)
