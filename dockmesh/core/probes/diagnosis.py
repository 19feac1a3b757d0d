"""Why probes failed, where that lies in what a host lacks: one cause for all the probes it fails."""

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
    """In one family, by host: why it is apart from all, and which others have no route to it."""

    apart: Mapping[str, str]
    strangers: Mapping[str, list[str]]


def with_causes(result: MeshResult, fleet: Fleet, targets: Mapping[str, ProbeTarget]) -> MeshResult:
    """The result, and in each probe that was made and got no right reply the cause that `targets` shows, if any."""
    known = {name: each.join_state for name, each in targets.items() if each.join_state}
    lacking = {family: _lacking(fleet, known, family) for family in FAMILIES}
    return replace(result, probes=tuple(_with_cause(probe, lacking[probe.family]) for probe in result.probes))


def _with_cause(probe: ProbeResult, lacking: _MissingState) -> ProbeResult:
    if probe.reply_ok or not probe.made:
        return probe
    cause = next(_causes(probe, lacking), None)
    return probe.failed(cause) if cause else probe


def _lacking(fleet: Fleet, known: Mapping[str, JoinState], family: Family) -> _MissingState:
    taking_part = [host for host in fleet.hosts if host.network(family)]
    hosts = {host.name: host for host in taking_part if host.name in known}
    apart = {name: why for name, host in hosts.items() if (why := not_joined_reason(host, known[name], family))}
    strangers: dict[str, list[str]] = {}
    for name in (name for name in hosts if name not in apart):
        for peer in taking_part:
            there = peer.network(family)
            if peer.name != name and there and there.prefix and there.prefix not in known[name].routes:
                strangers.setdefault(peer.name, []).append(name)
    return _MissingState(_told_once(apart, fleet), strangers)


def _told_once(apart: Mapping[str, str], fleet: Fleet) -> Mapping[str, str]:
    """Many that have not joined are told of in one breath."""
    if len(apart) <= _NAMED:
        return apart
    names = ", ".join(compact_names(apart, {host.name: host.tags for host in fleet.hosts}))
    return dict.fromkeys(apart, f"{names}: {len(apart)} hosts have not joined the mesh: dockmesh apply")


def _causes(probe: ProbeResult, lacking: _MissingState) -> Iterator[Failure]:
    """A host that has not joined comes before a missing route, and the target before the source."""
    ends = ((probe.target, probe.source), (probe.source, probe.target))
    apart, strangers = lacking.apart, lacking.strangers
    yield from (Failure(FailureCode.NOT_JOINED, apart[one], one) for one, _other in ends if one in apart)
    yield from (_unknown(one, strangers[one]) for one, other in ends if other in strangers.get(one, ()))


def _unknown(name: str, to: list[str]) -> Failure:
    why = f"no route to {name} (it is new there, or the route was lost)"
    if len(to) > _NAMED:
        reason = f"{len(to)} hosts have {why}: dockmesh apply"
    else:
        have = "has" if len(to) == 1 else "have"
        reason = f"{', '.join(to)} {have} {why}: dockmesh apply --limit {','.join(to)}"
    return Failure(FailureCode.ROUTE_MISSING, reason, name)
