"""Steps about the packets themselves: by which source address they come, and how large they may be."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from shlex import quote

from dockmesh.core.explain.evidence import Evidence, HostEvidence, apply_command, failed, on_host, passed, unknown
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Fault, Step
from dockmesh.core.explain.snapshot import HostSnapshot
from dockmesh.core.names import FORWARD_CHAIN, NAT_CHAIN
from dockmesh.core.netfilter.counters import in_chain, jumps, packets_from
from dockmesh.core.state.resources import SourceNat


def source_address(seen: Evidence) -> Iterator[Step]:
    """Whether the container keeps its address, by which of the receiver's rules let it in."""
    at, other = seen.source, seen.target
    prefix = at.host.prefix
    if seen.source_nat or prefix is None or not at.pid or at.snapshot is None:
        return
    rules = in_chain(other.snapshot.rules, "filter", FORWARD_CHAIN) if other.snapshot else []
    own, masked = packets_from(rules, prefix), packets_from(rules, IPv4Network(at.host.underlay))
    kept = _keeps(at.snapshot)
    if masked and not own:
        cause = f"{other.name} sees {at.host.underlay}, not {at.address}: {at.name} masquerades towards its peer"
        yield failed(at, "there", Check.SOURCE, _masked(at, cause, kept=kept))
    elif not kept:
        cause = f"{at.name} will masquerade towards its peers: what keeps containers' addresses there was removed"
        yield failed(at, "there", Check.SOURCE, _masked(at, cause, kept=False))
    elif own:
        yield passed(at, "there", Check.SOURCE, f"{other.name} sees {at.address}")
    else:
        yield unknown(at, "there", Check.SOURCE, f"{other.name} counted nothing from {at.address}")


def _keeps(seen: HostSnapshot) -> bool:
    table = seen.source_nat
    chain = jumps(seen.rules, "nat", "POSTROUTING", NAT_CHAIN)
    return chain or (isinstance(table, SourceNat) and table.prefix is not None)


def _masked(at: HostEvidence, cause: str, *, kept: bool) -> Fault:
    why = "another rule of it comes before dockmesh's" if kept else "its nft table ip dockmesh is gone or altered"
    remedy = (
        on_host(at, "nft list ruleset | grep -e 'hook postrouting' -e masquerade -e snat")
        if kept
        else apply_command(at)
    )
    return Fault(FaultCode.MASQUERADED, f"{cause}, in spite of source_nat: false; {why}", remedy, blocks=False)


def full_size(seen: Evidence) -> Iterator[Step]:
    """Whether packets as large as the containers make them get through."""
    at, other = seen.source, seen.target
    if at.snapshot is None or other.snapshot is None:
        return
    uplinks = [(side.snapshot.links[side.uplink].mtu, side) for side in (at, other) if side.snapshot and side.uplink]
    legs = [
        side.snapshot.container_link.link.mtu for side in (at, other) if side.snapshot and side.snapshot.container_link
    ]
    least, narrow = min(uplinks, key=lambda each: each[0], default=(0, at))
    if uplinks and legs and max(legs) > least:
        yield failed(narrow, "there", Check.MTU, _narrow(narrow, least, max(legs)))
    elif not seen.reached or seen.ping is None or (sent := seen.ping.full_size) is None:
        yield unknown(at, "there", Check.MTU, "no packet of full size was sent")
    elif sent.cached_pmtu:
        detail = f"the container still goes by {sent.path_mtu} bytes, which it was told within the last ten minutes"
        yield unknown(at, "there", Check.MTU, detail)
    elif not sent.received:
        told = f", {sent.path_mtu} at most" if sent.path_mtu else ""
        cause = f"packets of {sent.size} bytes do not get from {at.name} to {other.name}{told}"
        remedy = f"ask for an MTU of {sent.size} on all that is between the hosts"
        yield failed(at, "there", Check.MTU, Fault(FaultCode.MTU_TOO_SMALL, cause, remedy, blocks=False))
    else:
        yield passed(at, "there", Check.MTU, f"{sent.size} bytes get through")


def _narrow(at: HostEvidence, mtu: int, wanted: int) -> Fault:
    cause = f"{at.uplink} of {at.name} takes {mtu} bytes, and containers send up to {wanted}"
    return Fault(
        FaultCode.MTU_TOO_SMALL, cause, on_host(at, f"ip link set {quote(at.uplink or '')} mtu {wanted}"), blocks=False
    )
