"""Checks the path of the probe in both directions and finds the first fault on it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from dockmesh.core.explain.evidence import Evidence, HostEvidence, inbound, outbound
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Explanation, Fault, Step
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.explain.steps import firewall, host, packets, routing
from dockmesh.core.names import FORWARD_CHAIN
from dockmesh.core.netfilter.counters import in_chain, packets_from


def explain(seen: Evidence) -> Explanation:
    """Check every step of the path. The first fault is the cause."""
    steps = tuple(_corrected(step, reached=seen.reached) for step in _steps(seen))
    fault, reached = _cause(steps), seen.reached
    if fault is None and reached is False:
        fault = _unexplained(seen)
    if reached is None and fault is not None and fault.blocks and fault.code != FaultCode.NO_LOGIN:
        # A blocking fault on the host that dockmesh could read proves the loss even without a probe.
        reached = False
    errors = {side.name: side.error for side in (seen.source, seen.target) if side.error}
    ends = str(seen.source.endpoint), str(seen.target.endpoint)
    return Explanation(*ends, reached, (*steps, _probe(seen)), fault, errors)


def _steps(seen: Evidence) -> Iterator[Step]:
    source, target = seen.source, seen.target
    yield from _source_out(source, target)
    yield from _target_in(target, source)
    yield from packets.source_address(seen)
    yield from packets.full_size(seen)
    yield from _target_out(target, source, masqueraded=seen.source_nat)
    yield from _source_in(source, target)


def _source_out(at: HostEvidence, other: HostEvidence) -> Iterator[Step]:
    direction: Direction = "there"
    yield from host.login(at, other, direction)
    if at.snapshot is None:
        return
    yield from host.inside(at, at.snapshot, direction, at.bridge)
    yield from routing.uplink(at, at.snapshot, direction)
    yield from routing.route(at, other, at.snapshot, direction)
    yield from _send(at, other, at.snapshot, direction)


def _target_in(at: HostEvidence, other: HostEvidence) -> Iterator[Step]:
    direction: Direction = "there"
    yield from host.login(at, other, direction)
    if at.snapshot is None:
        return
    yield from routing.uplink(at, at.snapshot, direction)
    yield from host.inside(at, at.snapshot, direction, at.uplink)
    yield from _receive(at, other, at.snapshot, direction)


def _target_out(at: HostEvidence, other: HostEvidence, *, masqueraded: bool) -> Iterator[Step]:
    direction: Direction = "back"
    if at.snapshot is None:
        return
    # Masqueraded packets need no route back to the container's prefix.
    if not masqueraded:
        yield from routing.route(at, other, at.snapshot, direction)
    yield from _send(at, other, at.snapshot, direction)


def _source_in(at: HostEvidence, other: HostEvidence) -> Iterator[Step]:
    direction: Direction = "back"
    if at.snapshot is None:
        return
    yield from _receive(at, other, at.snapshot, direction)


def _send(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    yield from firewall.sending(at, other, seen, outbound(at, other), direction)
    yield from routing.neighbour(at, other, seen, direction)


def _receive(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    yield from routing.ingress(at, other, seen, direction)
    yield from firewall.receiving(at, other, seen, inbound(at, other), direction)


def _corrected(step: Step, *, reached: bool | None) -> Step:
    """Clear a blocking fault if the probe succeeded: the state may have changed, or the check was wrong."""
    if reached and step.fault is not None and step.fault.blocks:
        return replace(step, ok=None, fault=None, detail=f"{step.detail}. The probe succeeded nevertheless")
    return step


def _cause(steps: Sequence[Step]) -> Fault | None:
    certain = [step.fault for step in steps if step.ok is False and step.fault]
    possible = [step.fault for step in steps if step.ok is None and step.fault]
    return next((fault for fault in certain if fault.blocks), None) or next(iter((*possible, *certain)), None)


def _unexplained(seen: Evidence) -> Fault:
    """The fault if every check succeeded and the probe was lost. The target's counters show where."""
    source, target = seen.source, seen.target
    trace = f"dockmesh trace {source.endpoint} {target.endpoint}"
    networks = (IPv4Network(source.host.underlay), *((source.host.prefix,) if source.host.prefix else ()))
    rules = in_chain(target.snapshot.rules, "filter", FORWARD_CHAIN) if target.snapshot else []
    if any(packets_from(rules, network) for network in networks):
        cause = (
            f"{target.name} forwards the probe to {target.address}, which does not reply; it may have its own firewall"
        )
        return Fault(FaultCode.NO_ANSWER, cause, trace)
    cause = (
        f"{source.name} sends the probe correctly, but it does not arrive at {target.name}. The network between them "
        "drops it, for example a cloud network that checks source and destination"
    )
    return Fault(FaultCode.LOST_BETWEEN, cause, trace)


def _probe(seen: Evidence) -> Step:
    if seen.ping is None:
        return Step(seen.source.name, "back", Check.PROBE, ok=None, detail="no probe was sent")
    ttl = f" with TTL {seen.ping.ttl}" if seen.ping.ttl is not None else ""
    detail = f"{seen.ping.received} replies from {seen.target.address}{ttl}"
    return Step(seen.source.name, "back", Check.PROBE, ok=seen.reached, detail=detail)
