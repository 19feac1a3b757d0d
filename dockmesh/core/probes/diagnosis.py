"""Why probes failed, where that lies in what a host lacks: one cause for all the probes it fails."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dockmesh.core.addresses import FAMILIES, Family
from dockmesh.core.compact import compact_names
from dockmesh.core.model import Fleet
from dockmesh.core.probes.join_state import JoinState, not_joined_reason
from dockmesh.core.probes.model import Failure, FailureCode, Probe, ProbeReport, ProbeResult, ProbeTarget

_NAMED = 6


@dataclass(frozen=True, slots=True)
class _MissingState:
    """In one family, by host: why it is apart from all, and which others have no route to it."""

    apart: Mapping[str, str]
    strangers: Mapping[str, list[str]]


def with_causes(report: ProbeReport, fleet: Fleet, targets: Mapping[str, ProbeTarget]) -> ProbeReport:
    """The report, and in each probe that was made and failed the cause that `targets` shows, if any."""
    known = {name: each.join_state for name, each in targets.items() if each.join_state}
    lacking = {family: _lacking(fleet, known, family) for family in FAMILIES}
    return replace(
        report,
        results=tuple(
            answer.failed(cause, cause=True)
            if not answer.ok
            and answer.probed
            and (
                cause := _narrow(answer, targets)
                if answer.reply_ok
                else _cause(answer.probe, lacking[answer.probe.family])
            )
            else answer
            for answer in report.results
        ),
    )


def _narrow(answer: ProbeResult, targets: Mapping[str, ProbeTarget]) -> Failure | None:
    """Which of the two hosts has an uplink that packets of full size are too large for."""
    ends = ((name, targets[name].uplink) for name in (answer.probe.source, answer.probe.target) if name in targets)
    links = [(link.mtu, name, link.name) for name, link in ends if link]
    if not answer.full_size or not links or min(links)[0] >= answer.full_size.size:
        return None
    mtu, name, device = min(links)
    return Failure(
        FailureCode.UPLINK_TOO_SMALL,
        f"packets of {answer.full_size.size} bytes do not get to and from {name}, whose {device} takes {mtu}: dockmesh "
        "apply, which gives docker0 that MTU",
    )


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


def _cause(probe: Probe, lacking: _MissingState) -> Failure | None:
    return next(_causes(probe, lacking), None)


def _causes(probe: Probe, lacking: _MissingState) -> Iterator[Failure]:
    ends = ((probe.source, probe.target), (probe.target, probe.source))
    strangers = lacking.strangers
    apart = (lacking.apart[one] for _other, one in ends if one in lacking.apart)
    yield from (Failure(FailureCode.NOT_JOINED, why) for why in apart)
    yield from (_unknown(one, strangers[one]) for other, one in ends if other in strangers.get(one, ()))


def _unknown(name: str, to: list[str]) -> Failure:
    why = f"no route to {name} (it is new there, or the route was lost)"
    if len(to) > _NAMED:
        reason = f"{len(to)} hosts have {why}: dockmesh apply"
    else:
        have = "has" if len(to) == 1 else "have"
        reason = f"{', '.join(to)} {have} {why}: dockmesh apply --limit {','.join(to)}"
    return Failure(FailureCode.ROUTE_MISSING, reason)
