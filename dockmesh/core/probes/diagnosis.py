"""The diagnosis of failed probes: one cause for all probes that fail because a host lacks its address or a route."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dockmesh.core.addresses import FAMILIES, Family
from dockmesh.core.compact import compact_names
from dockmesh.core.model import Fleet
from dockmesh.core.probes.join_state import JoinState, not_joined_reason
from dockmesh.core.probes.model import ProbeTarget
from dockmesh.core.results.model import Failure, FailureCode, MeshResult, ProbeResult

_NAMED = 6


@dataclass(frozen=True, slots=True)
class _MissingState:
    """What hosts lack in one family, by host. `not_joined`: the reason. `without_route`: the peers without a route."""

    not_joined: Mapping[str, str]
    without_route: Mapping[str, list[str]]


def with_causes(result: MeshResult, fleet: Fleet, targets: Mapping[str, ProbeTarget]) -> MeshResult:
    """The result with the causes that `targets` shows, in the probes that were made but got no reply or a wrong one."""
    states = {name: each.join_state for name, each in targets.items() if each.join_state}
    missing = {family: _missing_state(fleet, states, family) for family in FAMILIES}
    return replace(result, probes=tuple(_with_cause(probe, missing[probe.family]) for probe in result.probes))


def _with_cause(probe: ProbeResult, missing: _MissingState) -> ProbeResult:
    if probe.reply_ok or not probe.made:
        return probe
    cause = next(_causes(probe, missing), None)
    return probe.failed(cause) if cause else probe


def _missing_state(fleet: Fleet, states: Mapping[str, JoinState], family: Family) -> _MissingState:
    members = [host for host in fleet.hosts if host.network(family)]
    hosts = {host.name: host for host in members if host.name in states}
    reasons = {name: why for name, host in hosts.items() if (why := not_joined_reason(host, states[name], family))}
    without_route: dict[str, list[str]] = {}
    for name in (name for name in hosts if name not in reasons):
        for peer in members:
            network = peer.network(family)
            if peer.name != name and network and network.prefix and network.prefix not in states[name].routes:
                without_route.setdefault(peer.name, []).append(name)
    return _MissingState(_summarized(reasons, fleet), without_route)


def _summarized(reasons: Mapping[str, str], fleet: Fleet) -> Mapping[str, str]:
    """The reasons; one reason for all hosts if there are many."""
    if len(reasons) <= _NAMED:
        return reasons
    names = ", ".join(compact_names(reasons, {host.name: host.tags for host in fleet.hosts}))
    return dict.fromkeys(reasons, f"{names}: {len(reasons)} hosts have not joined the mesh. Fix: dockmesh apply")


def _causes(probe: ProbeResult, missing: _MissingState) -> Iterator[Failure]:
    """All causes, the most important first: not joined before a missing route, the target before the source."""
    ends = ((probe.target, probe.source), (probe.source, probe.target))
    reasons, without_route = missing.not_joined, missing.without_route
    yield from (Failure(FailureCode.NOT_JOINED, reasons[one], one) for one, _other in ends if one in reasons)
    yield from (_route_missing(one, without_route[one]) for one, other in ends if other in without_route.get(one, ()))


def _route_missing(name: str, peers: list[str]) -> Failure:
    route = f"no route to {name} (a new host, or the route was removed)"
    if len(peers) > _NAMED:
        reason = f"{len(peers)} hosts have {route}. Fix: dockmesh apply"
    else:
        have = "has" if len(peers) == 1 else "have"
        reason = f"{', '.join(peers)} {have} {route}. Fix: dockmesh apply --limit {','.join(peers)}"
    return Failure(FailureCode.ROUTE_MISSING, reason, name)
