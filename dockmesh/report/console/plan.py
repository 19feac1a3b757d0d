"""A plan on the terminal: a short block per group of hosts with the same changes, or every line with -v."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from dockmesh.core.addresses import is_inside
from dockmesh.core.compact import describe_names
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.findings import ConflictCode
from dockmesh.core.planning.plan import HostPlan, Plan
from dockmesh.core.planning.summary import EVERYTHING, Changed, HostSummary, PeerNames, summarize
from dockmesh.core.state.diff import Action, Change
from dockmesh.core.state.resources import FORWARDING, DockerNetworking, NftAdmission, key_of
from dockmesh.core.text import listed
from dockmesh.report.console.own_values import without_own_values
from dockmesh.report.console.resource_diff import diff_lines, has_lines
from dockmesh.report.console.terminal import pluralize, print_line
from dockmesh.report.goal_text import JOINED, GoalText
from dockmesh.report.redaction import redact
from dockmesh.report.unconfirmed_text import deadline_text, remedy_text, reverted_at

_SIGNS: Mapping[Action, tuple[str, str]] = {
    "add": ("+", "green"),
    "change": ("~", "yellow"),
    "remove": ("-", "red"),
    "restart": ("!", "magenta"),
}
_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_INDENT = 2
_LABEL = 12
_NAMED = 6
# Longer lists of containers do not fit a line; -v prints all. Those that are removed for good are all printed.
_CONTAINERS = 8


@dataclass(frozen=True, slots=True)
class _Block:
    """The lines of one host, and the key that hosts with equal lines share."""

    host: str
    lines: tuple[Text, ...]
    key: tuple[str, object]


def print_plan(
    out: Console, plan: Plan, fleet: Fleet, text: GoalText = JOINED, *, verbose: bool = False, brief: bool = False
) -> None:
    """Print the changes of each host, equal hosts once, then conflicts and errors, then the counts.

    With `verbose`, print every line of every host. With `brief`, print only the hosts that cannot be changed.
    """
    lines_of = _every_line(text) if verbose else _summary_lines(fleet)
    ordered = sorted(plan.hosts, key=lambda each: fleet.positions.get(each.host, len(fleet.hosts)))
    plans = {host.host: host for host in ordered}
    blocked = [host for host in ordered if _is_blocked(host)]
    changed = [] if brief else [host for host in ordered if not _is_blocked(host)]
    for hosts in (changed, blocked):
        for block, members in _folded(map(_block(fleet, lines_of), hosts), fold=not verbose):
            out.print(_heading(block, members, fleet))
            for line in (*block.lines, *_times([plans[name] for name in members], fleet)):
                print_line(out, line, _INDENT)
    _print_counts(out, plan, text)


def _print_counts(out: Console, plan: Plan, text: GoalText) -> None:
    if plan.empty and plan.clean:
        out.print(Text(f"Nothing to do: {pluralize(len(plan.hosts), 'host')} {text.unchanged}.", style="green"))
        return
    if counts := list(_counts(plan, text)):
        out.print(Text(f"{pluralize(len(plan.hosts), 'host')}: {', '.join(counts)}", style="bold"))
    if not plan.clean:
        out.print(Text(f"Not changed: {', '.join(_blocked_counts(plan.hosts))}.", style="bold red"))


def _is_blocked(host: HostPlan) -> bool:
    return bool(host.conflicts) or host.error is not None


def _counts(plan: Plan, text: GoalText) -> Iterator[str]:
    yield from (f"{count} to {action}" for action, count in plan.counts.items() if count)
    ends = Counter(host.ends_pending for host in plan.hosts if host.ends_pending)
    yield from (f"{count} pending {'change' if count == 1 else 'changes'} to {end}" for end, count in ends.items())
    done = sum(not host.changes and not _is_blocked(host) for host in plan.hosts)
    if done and plan.empty:
        yield f"{done} {text.unchanged}"


def _blocked_counts(hosts: Iterable[HostPlan]) -> Iterator[str]:
    conflicts = [len(host.conflicts) for host in hosts if host.conflicts]
    if conflicts:
        yield f"{pluralize(len(conflicts), 'host')} with {pluralize(sum(conflicts), 'conflict')}"
    unreachable = sum(host.unreachable for host in hosts)
    if unreachable:
        yield f"{pluralize(unreachable, 'unreachable host')}"
    if others := sum(host.error is not None for host in hosts) - unreachable:
        yield f"{pluralize(others, 'host')} with an error"


# --- blocks and folding -----------------------------------------------------------------------------------------------


# The lines of a host, and what else must be equal for another host to have the same.
_Lines = tuple[tuple[Text, ...], object]


def _block(fleet: Fleet, lines_of: Callable[[HostPlan], _Lines]) -> Callable[[HostPlan], _Block]:
    def block(plan: HostPlan) -> _Block:
        shown, details = lines_of(plan)
        lines = (*shown, *_finding_lines(plan))
        own = fleet.host(plan.host) if plan.host in fleet.positions else None
        return _Block(plan.host, lines, (without_own_values("\n".join(line.plain for line in lines), own), details))

    return block


def _folded(blocks: Iterable[_Block], *, fold: bool) -> Iterator[tuple[_Block, Sequence[str]]]:
    """Return each block with the hosts that share it. Hosts without lines are left out."""
    groups: dict[object, list[_Block]] = {}
    for block in blocks:
        if block.lines:
            groups.setdefault(block.key if fold else block.host, []).append(block)
    return ((group[0], [each.host for each in group]) for group in groups.values())


def _times(plans: Sequence[HostPlan], fleet: Fleet) -> Iterator[Text]:
    """The rest about changes without confirmation, which differs between hosts with equal lines."""
    if pending := {plan.host: plan.pending for plan in plans if plan.pending and not plan.ends_pending}:
        deadline = deadline_text(tuple(pending.values()), None, datetime.now(UTC))
        remedy = remedy_text(pending, {host.name: host.tags for host in fleet.hosts})
        yield Text(f"  {deadline}. Fix: {remedy}")
    if reverted := [plan.reverted for plan in plans if plan.reverted]:
        yield Text(f"  reverted {reverted_at(reverted, None)}")


def _heading(block: _Block, members: Sequence[str], fleet: Fleet) -> Text:
    if len(members) == 1:
        return Text(block.host, style="bold")
    names = describe_names(members, {host.name: host.tags for host in fleet.hosts}, most=_NAMED)
    hint = f"  the same for {len(members)} hosts; the addresses are those of {block.host}"
    return Text.assemble((names, "bold"), (hint, "dim"))


# --- the short block --------------------------------------------------------------------------------------------------


def _summary_lines(fleet: Fleet) -> Callable[[HostPlan], _Lines]:
    names = PeerNames(fleet)

    def lines_of(plan: HostPlan) -> _Lines:
        if not plan.changes:
            return (), None
        summary = summarize(plan, names)
        return tuple(_changes(summary, _Peers(fleet, plan.host))), summary.details

    return lines_of


@dataclass(frozen=True, slots=True)
class _Peers:
    """The peers of a host, for lines that name some of them."""

    fleet: Fleet
    own: str

    def text(self, names: Sequence[str]) -> str:
        """Name the peers, and every network of no host, because nothing else shows it."""
        tags = {host.name: host.tags for host in self.fleet.hosts if host.name != self.own}
        peers = [name for name in names if name in tags]
        networks = [name for name in names if name not in tags]
        if len(peers) > 1 and len(peers) == len(tags):
            return ", ".join([f"all {len(peers)} peers", *networks])
        count = f"{len(peers)} peers: " if len(peers) > _NAMED else ""
        return ", ".join([count + describe_names(peers, tags, most=_NAMED)] * bool(peers) + networks)


def _changes(summary: HostSummary, peers: _Peers) -> Iterator[Text]:
    if summary.docker:
        yield from _docker_lines(*summary.docker, peers.fleet.host(peers.own))
        yield _line("Docker", "restart", f"restarts; {_containers(summary)}")
    yield from _changed("routes", summary.routes, peers.text)
    if summary.new_paths:
        yield _line("", "change", f"now {listed(list(dict.fromkeys(summary.new_paths)), _NAMED)}")
    yield from _changed("accept", summary.accepted, peers.text)
    yield from _limit_lines(*summary.limits)
    yield from (_line("source", action, _SOURCE_NAT[action]) for action in summary.source_nat)
    yield from (
        _line("forward", "change", f"{FORWARDING[each.family]} = {int(each.on)}") for each in summary.forwarding
    )
    yield from _changed("daemon.json", summary.keys, ", ".join)
    yield from _changed("files", summary.files, ", ".join)
    yield from _changed("units", summary.units, ", ".join)


def _limit_lines(before: str, after: str) -> Iterator[Text]:
    if before and after and before != after:
        yield _line("", "change", f"packets from peers: {before} → {after}")
    elif after and after not in {before, EVERYTHING}:
        yield _line("", "add", f"packets from peers: {after} only")


_SOURCE_NAT: Mapping[Action, str] = {
    "add": "peers see the containers' own addresses",
    "remove": "Docker masquerades towards the peers again",
}


def _docker_lines(before: DockerNetworking, after: DockerNetworking, host: Host) -> Iterator[Text]:
    for old, new in ((before.address, after.address), (before.address6, after.address6)):
        if old != new:
            yield _line("docker0", "change", f"{old or 'no address'} → {new or 'no address'}")
    if before.mtu != after.mtu:
        yield _line("docker0", "change", f"MTU {before.mtu} → {after.mtu}")
    if before.pools != after.pools:
        yield _line("pools", "change", f"new networks from {_ranges(after, host)}")
    if before.admission != after.admission:
        yield _line("docker0", "change", _admission_text(after.admission))


def _admission_text(admission: NftAdmission | None) -> str:
    if admission is None or not admission.mark:
        return "Docker no longer accepts packets with the mark of dockmesh"
    return f"Docker accepts packets with the mark {admission.mark} of dockmesh"


def _ranges(docker: DockerNetworking, host: Host) -> str:
    """Name the address ranges of new Docker networks."""
    inside = [host.prefix is not None and is_inside(pool.base, host.prefix) for pool in docker.pools]
    if docker.pools and all(inside):
        return f"the prefix {host.prefix}"
    return listed([str(pool.base) for pool in docker.pools], _NAMED) or "Docker's built-in ranges"


def _containers(summary: HostSummary) -> str:
    stopped = summary.stopped
    restarted, removed, not_started = stopped.restarted, stopped.removed, stopped.not_started
    parts = (
        [f"stops and starts {pluralize(len(restarted), 'container')}: {listed(restarted, _CONTAINERS)}"]
        if restarted
        else []
    )
    parts += [f"removes {pluralize(len(removed), 'container')} (--rm): {', '.join(removed)}"] if removed else []
    if not_started:
        parts.append(
            f"leaves {pluralize(len(not_started), 'container')} stopped (needs a removed one): {', '.join(not_started)}"
        )
    return "; ".join(parts) or "no container is running"


def _changed(label: str, changed: Changed, text: Callable[[tuple[str, ...]], str]) -> Iterator[Text]:
    for at, (action, names) in enumerate(changed.by_action()):
        yield _line("" if at else label, action, text(names))


def _line(label: str, action: Action, text: str) -> Text:
    sign, style = _SIGNS[action]
    return Text.assemble((f"{label:<{_LABEL}}", "dim"), (f"{sign} {text}", style))


# --- every line -------------------------------------------------------------------------------------------------------


def _every_line(text: GoalText) -> Callable[[HostPlan], _Lines]:
    def lines_of(plan: HostPlan) -> Iterator[Text]:
        for change in plan.changes:
            yield from _change_lines(change)
        if not (plan.changes or plan.notes or plan.ends_pending or _is_blocked(plan)):
            yield Text(text.unchanged, style="dim")

    return lambda plan: (tuple(lines_of(plan)), None)


def _change_lines(change: Change) -> Iterator[Text]:
    sign, style = _SIGNS[change.action]
    kind, key = key_of(change.resource)
    lines = list(diff_lines(change))
    summary = "" if has_lines(change) else f" {' '.join(lines)}"
    yield Text.assemble((f"{sign} {kind} {key}{summary}", style), "  ", (f"({change.reason})", "dim"))
    if not summary:
        yield from (Text(f"    {redact(line)}", style=_STYLES.get(line[:1], "dim")) for line in lines)


def _finding_lines(plan: HostPlan) -> Iterator[Text]:
    if plan.pending and plan.ends_pending:
        action = "keep the host as it is now" if plan.ends_pending == "keep" else "revert now"
        yield Text.assemble(("! ", "magenta"), f"{action}: {plan.pending.message}")
    for conflict in plan.conflicts:
        pending = conflict.code == ConflictCode.CHANGE_PENDING
        advice = conflict.message if pending else conflict.advice
        yield Text.assemble(("✗ ", "bold red"), (conflict.key, "bold"), f": {advice}")
    for note in plan.notes:
        yield Text.assemble(("· ", "yellow"), (note.key, "bold"), f": {note.advice}")
    if plan.error is not None:
        yield Text.assemble(("✗ ", "bold red"), plan.error)
