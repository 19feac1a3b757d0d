"""Checks the path of the probe in both directions and finds the first fault on it."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dockmesh.core.explain.evidence import Evidence, HostEvidence, inbound, on_host, outbound
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Explanation, Fault, Step
from dockmesh.core.explain.own_rules import is_own
from dockmesh.core.explain.script import COUNT
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.explain.steps import firewall, host, packets, routing
from dockmesh.core.netfilter.nft_trace import TracedRule


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
    yield from firewall.sending(at, other, seen, outbound(at, other, direction), direction)
    yield from routing.neighbour(at, other, seen, direction)


def _receive(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    yield from routing.ingress(at, other, seen, direction)
    yield from firewall.receiving(at, other, seen, inbound(at, other, direction), direction)


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
    """The fault if every check succeeded and the probe was lost. The packets that the hosts saw show where."""
    source, target = seen.source, seen.target
    remedy = f"dockmesh trace {source.endpoint} {target.endpoint}"
    for side in (source, target):
        for rule in side.snapshot.trace.dropped if side.snapshot and side.snapshot.trace else ():
            return _other_drop(side, rule)
    arrives = _arrives(target)
    if arrives is False:
        return _lost_between(source, target, remedy)
    there, back = (side.snapshot.trace if side.snapshot else None for side in (target, source))
    if there and back and True in there.left and True not in back.arrived:
        return _lost_between(target, source, remedy)
    if arrives is None:
        cause = f"{target.address} does not reply. {target.name} cannot trace packets, so the probe may not arrive"
    elif target.pid and there and False not in there.left:
        cause = f"the probe arrives at {target.name}, which drops it for a reason other than its firewall rules"
    else:
        cause = (
            f"{target.name} forwards the probe to {target.address}, which does not reply; it may have its own firewall"
        )
    return Fault(FaultCode.NO_ANSWER, cause, remedy)


def _other_drop(at: HostEvidence, rule: TracedRule) -> Fault:
    """The fault of a rule that no step covers, such as a rule that nft added to a table of iptables."""
    where = shlex.join([*rule.table.split(), rule.chain])
    what = f"rule {rule.handle}" if rule.handle else "the policy"
    cause = f"{what} of nft chain {where} on {at.name} drops the probe"
    return Fault(FaultCode.HOST_FIREWALL_DROP, cause, on_host(at, f"nft -a list chain {where}"))


def _arrives(target: HostEvidence) -> bool | None:
    """Whether the target's host received the probe, by its trace or else by the counter of its accept rule.

    None if it has neither.
    """
    if target.snapshot is None:
        return False
    if target.snapshot.trace is not None:
        return False in target.snapshot.trace.arrived
    counts = [rule.packets for rule in target.snapshot.rules if rule.table == "filter" and is_own(rule)]
    return max(counts) >= COUNT if counts and target.pid else None


def _lost_between(sender: HostEvidence, receiver: HostEvidence, remedy: str) -> Fault:
    cause = (
        f"{sender.name} sends the probe correctly, but it does not arrive at {receiver.name}. The network between them "
        "drops it, for example a cloud network that checks source and destination"
    )
    return Fault(FaultCode.LOST_BETWEEN, cause, remedy)


def _probe(seen: Evidence) -> Step:
    if seen.ping is None:
        return Step(seen.source.name, "back", Check.PROBE, ok=None, detail="no probe was sent")
    ttl = f" with TTL {seen.ping.ttl}" if seen.ping.ttl is not None else ""
    detail = f"{seen.ping.received} replies from {seen.target.address}{ttl}"
    return Step(seen.source.name, "back", Check.PROBE, ok=seen.reached, detail=detail)
