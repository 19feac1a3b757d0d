"""The way of the probe, step by step there and back, and what is to blame."""

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
    """Go the way; of several faults the first one on it is the cause."""
    steps = tuple(_judged(step, reached=seen.reached) for step in _steps(seen))
    fault, reached = _cause(steps), seen.reached
    if fault is None and reached is False:
        fault = _unexplained(seen)
    if reached is None and fault is not None and fault.blocks and fault.code != FaultCode.NO_LOGIN:
        # Without a probe, a fault that was measured on the way still proves that packets are lost.
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
    yield from _target_out(target, source, masked=seen.source_nat)
    yield from _source_in(source, target)


def _source_out(at: HostEvidence, other: HostEvidence) -> Iterator[Step]:
    way: Direction = "there"
    yield from host.login(at, other, way)
    if at.snapshot is None:
        return
    yield from host.inside(at, at.snapshot, way, at.bridge)
    yield from routing.uplink(at, at.snapshot, way)
    yield from routing.route(at, other, at.snapshot, way)
    yield from _send(at, other, at.snapshot, way)


def _target_in(at: HostEvidence, other: HostEvidence) -> Iterator[Step]:
    way: Direction = "there"
    yield from host.login(at, other, way)
    if at.snapshot is None:
        return
    yield from routing.uplink(at, at.snapshot, way)
    yield from host.inside(at, at.snapshot, way, at.uplink)
    yield from _receive(at, other, at.snapshot, way)


def _target_out(at: HostEvidence, other: HostEvidence, *, masked: bool) -> Iterator[Step]:
    way: Direction = "back"
    if at.snapshot is None:
        return
    if not masked:
        yield from routing.route(at, other, at.snapshot, way)
    yield from _send(at, other, at.snapshot, way)


def _source_in(at: HostEvidence, other: HostEvidence) -> Iterator[Step]:
    way: Direction = "back"
    if at.snapshot is None:
        return
    yield from _receive(at, other, at.snapshot, way)


def _send(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    yield from firewall.sending(at, other, seen, outbound(at, other), way)
    yield from routing.neighbour(at, other, seen, way)


def _receive(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    yield from routing.ingress(at, other, seen, way)
    yield from firewall.receiving(at, other, seen, inbound(at, other), way)


def _judged(step: Step, *, reached: bool | None) -> Step:
    """The probe has the last word: what let it pass did not break the way."""
    if reached and step.fault is not None and step.fault.blocks:
        return replace(step, ok=None, fault=None, detail=f"{step.detail}; the probe passed all the same")
    return step


def _cause(steps: Sequence[Step]) -> Fault | None:
    broken = [step.fault for step in steps if step.ok is False and step.fault]
    maybe = [step.fault for step in steps if step.ok is None and step.fault]
    return next((fault for fault in broken if fault.blocks), None) or next(iter((*maybe, *broken)), None)


def _unexplained(seen: Evidence) -> Fault:
    """All is as it should be, and the probe is lost: the counters tell on which side of the wire."""
    source, target = seen.source, seen.target
    trace = f"dockmesh trace {source.endpoint} {target.endpoint}"
    networks = (IPv4Network(source.host.underlay), *((source.host.prefix,) if source.host.prefix else ()))
    rules = in_chain(target.snapshot.rules, "filter", FORWARD_CHAIN) if target.snapshot else []
    if any(packets_from(rules, network) for network in networks):
        cause = f"{target.name} hands it to {target.address}, which does not answer: a firewall of its own, perhaps"
        return Fault(FaultCode.NO_ANSWER, cause, trace)
    cause = (
        f"{source.name} sends it the right way, and {target.name} lets nothing of it in: what is between them loses "
        "it, as a cloud does that checks source and destination"
    )
    return Fault(FaultCode.LOST_BETWEEN, cause, trace)


def _probe(seen: Evidence) -> Step:
    if seen.ping is None:
        return Step(seen.source.name, "back", Check.PROBE, ok=None, detail="no probe was sent")
    ttl = f" with TTL {seen.ping.ttl}" if seen.ping.ttl is not None else ""
    got = f"{seen.ping.received} replies from {seen.target.address}{ttl}"
    return Step(seen.source.name, "back", Check.PROBE, ok=seen.reached, detail=got)
