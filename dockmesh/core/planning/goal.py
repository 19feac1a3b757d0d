"""The goal of a run, and the plans that lead the hosts to it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dockmesh.core.desired.uplinks import SmallestUplink, smallest_uplink
from dockmesh.core.facts.host_facts import HostFacts, PendingChangeError
from dockmesh.core.facts.unconfirmed import PendingChange
from dockmesh.core.model import Fleet, Host
from dockmesh.core.planning.conflicts.docker import invalid_daemon_json
from dockmesh.core.planning.conflicts.network import (
    conflicts,
    notes,
    pending_change,
    removal_conflicts,
    reverted_change,
)
from dockmesh.core.planning.plan import HostPlan, PendingEnd, Plan, plan_host
from dockmesh.core.state import daemon_json
from dockmesh.core.state.resources import HostState
from dockmesh.errors import HostError, UnreachableError


@dataclass(frozen=True, slots=True)
class Goal:
    """The state that a run establishes.

    `joins_mesh`: the plan lists conflicts with the mesh, and probes of the mesh decide whether a host confirms.
    `save_previous`: rollback restores the state before the run. `ends_pending`: the end of a pending change; with None,
    it is a conflict.
    """

    desired: Callable[[Fleet, Host, HostFacts, SmallestUplink], HostState]
    joins_mesh: bool
    save_previous: bool
    ends_pending: PendingEnd | None = None


def plan_fleet(goal: Goal, fleet: Fleet, hosts: Iterable[Host], read: Mapping[str, HostFacts | HostError]) -> Plan:
    """Plan the changes of `hosts`. `read`: the facts of each, or why they could not be read.

    The smallest uplink of all hosts is part of each plan.
    """
    smallest = smallest_uplink(fleet, {name: facts for name, facts in read.items() if isinstance(facts, HostFacts)})
    return Plan(tuple(_plan_or_error(goal, fleet, host, read[host.name], smallest) for host in hosts))


def _plan_or_error(
    goal: Goal, fleet: Fleet, host: Host, read: HostFacts | HostError, smallest: SmallestUplink
) -> HostPlan:
    if isinstance(read, PendingChangeError):
        return _plan_with_pending(goal, host, read.pending)
    if isinstance(read, HostError):
        return _failed_plan(host, read)
    if read.pending:
        return _plan_with_pending(goal, host, read.pending)
    try:
        return _plan(goal, fleet, host, read, smallest)
    except HostError as error:
        return _failed_plan(host, error)


def _plan_with_pending(goal: Goal, host: Host, pending: PendingChange) -> HostPlan:
    """The plan of a host with a pending change. Its current state is no basis for a plan."""
    against = () if goal.ends_pending else (pending_change(host, pending),)
    return HostPlan(host.name, conflicts=against, pending=pending, ends_pending=goal.ends_pending)


def _plan(goal: Goal, fleet: Fleet, host: Host, facts: HostFacts, smallest: SmallestUplink) -> HostPlan:
    found = conflicts(fleet, host, facts, smallest) if goal.joins_mesh else removal_conflicts(facts)
    host_conflicts = tuple(found)
    try:
        mesh_notes = notes(host, facts, smallest, fleet.settings.mark) if goal.joins_mesh else ()
        host_notes = (*reverted_change(facts), *mesh_notes)
        wanted = goal.desired(fleet, host, facts, smallest)
        return plan_host(facts, wanted, smallest, host_conflicts, host_notes)
    except daemon_json.DaemonJsonError as error:
        distinct = dict.fromkeys((*host_conflicts, invalid_daemon_json(error)))
        return HostPlan(host.name, conflicts=tuple(distinct), basis=facts.basis)


def _failed_plan(host: Host, error: HostError) -> HostPlan:
    unreachable = isinstance(error, UnreachableError)
    return HostPlan(host.name, error=str(error), unreachable=unreachable, code=error.code)
