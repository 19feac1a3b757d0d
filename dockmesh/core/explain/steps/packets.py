"""Steps about the packets: their source address and their size."""

from collections.abc import Iterator
from dataclasses import replace
from shlex import quote

from dockmesh.core.explain.evidence import (
    Evidence,
    HostEvidence,
    apply_command,
    failed,
    missing_peer,
    on_host,
    outbound,
    passed,
    unknown,
)
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Fault, Step
from dockmesh.core.explain.own_rules import keeps_source


def source_address(seen: Evidence) -> Iterator[Step]:
    """Check that the target sees the container's address, by the trace of the target's host."""
    at, other = seen.source, seen.target
    if seen.source_nat or at.host.prefix is None or not at.pid or at.snapshot is None:
        return
    keeps = all(keeps_source(packet, at.snapshot.own_table) for packet in outbound(at, other, "there"))
    absent = missing_peer(at, other, at.snapshot)
    trace = other.snapshot.trace if other.snapshot else None
    if trace and at.address in trace.sources:
        yield passed(at, "there", Check.SOURCE, f"{other.name} sees {at.address}")
    elif not keeps and at.joined and absent and absent.code == FaultCode.PEER_NOT_IN_INVENTORY:
        yield failed(at, "there", Check.SOURCE, replace(absent, blocks=False))
    elif trace and trace.sources:
        cause = f"{other.name} sees {min(trace.sources)} instead of {at.address}, because {at.name} masquerades"
        yield failed(at, "there", Check.SOURCE, _masquerade_fault(at, cause, exempts=keeps))
    elif not keeps:
        cause = f"{at.name} masquerades packets to {other.name}, because its rules that prevent it were removed"
        yield failed(at, "there", Check.SOURCE, _masquerade_fault(at, cause, exempts=False))
    else:
        why = "no probe arrives" if trace else f"{other.name} cannot trace packets"
        yield unknown(at, "there", Check.SOURCE, f"unknown whether {other.name} sees {at.address}: {why}")


def _masquerade_fault(at: HostEvidence, cause: str, *, exempts: bool) -> Fault:
    why = "another rule comes before dockmesh's" if exempts else "the nft table ip dockmesh is missing or changed"
    remedy = (
        on_host(at, "nft list ruleset | grep -e 'hook postrouting' -e masquerade -e snat")
        if exempts
        else apply_command(at)
    )
    return Fault(
        FaultCode.MASQUERADED, f"{cause} although the inventory has source_nat: false; {why}", remedy, blocks=False
    )


def full_size(seen: Evidence) -> Iterator[Step]:
    """Check that packets with the MTU of the containers reach the target."""
    at, other = seen.source, seen.target
    if at.snapshot is None or other.snapshot is None:
        return
    devices = ((side.snapshot.links.get(side.uplink or ""), side) for side in (at, other) if side.snapshot)
    uplinks = [(device.mtu, side) for device, side in devices if device]
    containers = [
        side.snapshot.container_link.link.mtu for side in (at, other) if side.snapshot and side.snapshot.container_link
    ]
    smallest, narrow = min(uplinks, key=lambda each: each[0], default=(0, at))
    if uplinks and containers and max(containers) > smallest:
        yield failed(narrow, "there", Check.MTU, _mtu_fault(narrow, smallest, max(containers)))
    elif not seen.reached or seen.ping is None or (sent := seen.ping.full_size) is None:
        yield unknown(at, "there", Check.MTU, "no full-size packet was sent")
    elif sent.cached_pmtu:
        # The kernel keeps a path MTU for ten minutes, so the current one is unknown until then.
        detail = f"the container has a cached path MTU of {sent.path_mtu} bytes, at most ten minutes old"
        yield unknown(at, "there", Check.MTU, detail)
    elif not sent.received:
        limit = f"; the path MTU is {sent.path_mtu}" if sent.path_mtu else ""
        cause = f"packets of {sent.size} bytes from {at.name} do not reach {other.name}{limit}"
        remedy = f"set an MTU of at least {sent.size} on every device between the hosts"
        yield failed(at, "there", Check.MTU, Fault(FaultCode.MTU_TOO_SMALL, cause, remedy, blocks=False))
    else:
        yield passed(at, "there", Check.MTU, f"packets of {sent.size} bytes arrive")


def _mtu_fault(at: HostEvidence, mtu: int, wanted: int) -> Fault:
    cause = f"{at.uplink} of {at.name} has MTU {mtu}, but containers send packets of up to {wanted} bytes"
    return Fault(
        FaultCode.MTU_TOO_SMALL, cause, on_host(at, f"ip link set {quote(at.uplink or '')} mtu {wanted}"), blocks=False
    )
