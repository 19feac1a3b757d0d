"""Steps between hosts: uplink, route, neighbour and rp_filter."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from shlex import quote

from dockmesh.core.explain.evidence import (
    HostEvidence,
    apply_command,
    failed,
    missing_peer,
    not_joined,
    on_host,
    passed,
    unknown,
)
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Fault, Step
from dockmesh.core.explain.script import COUNT
from dockmesh.core.explain.snapshot import HostSnapshot, ListedRoute
from dockmesh.core.facts.iproute import PeerRoute as Decision

_STRICT = 1
_LOOSE = 2


def uplink(at: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check that the interface with the underlay address exists and is up."""
    device = at.uplink
    link = seen.links.get(device or "")
    if device is None or link is None:
        cause = f"no interface of {at.name} has its underlay address {at.host.underlay}"
        remedy = f"set underlay of {at.name} in the inventory to one of its addresses, or add {at.host.underlay} to it"
        yield failed(at, direction, Check.UPLINK, Fault(FaultCode.UNDERLAY_MISSING, cause, remedy))
    elif not link.up:
        cause = f"{device} of {at.name} is down"
        yield failed(
            at,
            direction,
            Check.UPLINK,
            Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip link set {quote(device)} up")),
        )
    elif not link.carrier:
        cause = f"{device} of {at.name} has no carrier; check its cable and the switch port"
        yield failed(
            at,
            direction,
            Check.UPLINK,
            Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip -s link show dev {quote(device)}")),
        )
    else:
        yield passed(at, direction, Check.UPLINK, f"{device} {at.host.underlay}")


def routes_to_peer(at: HostEvidence, other: HostEvidence) -> bool:
    """Whether the kernel routes packets for the other end to its host."""
    decision = at.snapshot.route_out if at.snapshot else None
    if not isinstance(decision, Decision) or decision.local:
        return False
    direct = other.address == other.host.underlay and decision.next_hop is None
    return direct or decision.next_hop == other.host.underlay


def route(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check the kernel's route to the other end."""
    if routes_to_peer(at, other) and isinstance(seen.route_out, Decision):
        yield passed(
            at, direction, Check.ROUTE, f"{other.address} via {other.host.underlay} dev {seen.route_out.device}"
        )
    else:
        yield failed(at, direction, Check.ROUTE, _route_fault(at, other, seen))


def _route_fault(at: HostEvidence, other: HostEvidence, seen: HostSnapshot) -> Fault:
    own = [each for each in seen.routes if each.route.owned and each.route.prefix == other.host.prefix]
    best = _best(seen, other.address)
    if not own and other.host.prefix is not None:
        return _missing_route(at, other, seen)
    if other.host.prefix is not None and other.address not in other.host.prefix and other.snapshot and not other.joined:
        return not_joined(other)
    if best is not None and best in own and best.route.next_hop != other.host.underlay:
        cause = f"the route of {at.name} to {other.name} leads to another machine: {best.words}"
        return Fault(FaultCode.WRONG_NEXT_HOP, f"{cause} instead of via {other.host.underlay}", apply_command(at))
    if best is not None and best not in own and best.route.prefix.prefixlen > 0:
        cause = f"{at.name} uses a foreign route to {other.name}: {best.words}"
        return Fault(FaultCode.FOREIGN_ROUTE_WINS, cause, on_host(at, f"ip route del {best.words}"))
    if seen.ip_rules:
        cause = f"a routing rule of {at.name} sends packets for {other.name} to another table: {seen.ip_rules[0]}"
        return Fault(
            FaultCode.ROUTING_RULE, cause, on_host(at, f"ip rule del pref {quote(seen.ip_rules[0].split(':', 1)[0])}")
        )
    decision = seen.route_out if isinstance(seen.route_out, str) else f"dev {seen.route_out.device}"
    return Fault(
        FaultCode.NO_ROUTE,
        f"{at.name} has no route to {other.address} on {other.name}: {decision}",
        on_host(at, f"ip route get {other.address}"),
    )


def _missing_route(at: HostEvidence, other: HostEvidence, seen: HostSnapshot) -> Fault:
    if not at.joined:
        return not_joined(at)
    if seen.own_table is not None and (fault := missing_peer(at, other, seen)):
        return fault
    cause = f"{at.name} has no route to {other.host.prefix}, the prefix of {other.name}; it was removed"
    return Fault(FaultCode.ROUTE_MISSING, cause, apply_command(at))


def _best(seen: HostSnapshot, address: IPv4Address) -> ListedRoute | None:
    """The route of the main table to an address."""
    matches = [each for each in seen.routes if address in each.route.prefix]
    return max(matches, key=lambda each: (each.route.prefix.prefixlen, -each.route.metric), default=None)


def neighbour(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check that frames for the other host have its MAC address."""
    address = other.host.underlay
    entry = seen.neighbours.get(address)
    link = other.snapshot.links.get(other.uplink or "") if other.snapshot else None
    if entry is not None and entry.mac and link is not None and link.mac and entry.mac != link.mac:
        macs = entry.device, entry.mac, link.mac
        yield failed(at, direction, Check.NEIGHBOUR, _stale(at, other, entry.state, macs))
    elif seen.peer_replied or (entry is not None and entry.mac):
        detail = f"{address} is at {entry.mac}" if entry and entry.mac else f"{address} replies"
        yield passed(at, direction, Check.NEIGHBOUR, detail)
    elif other.snapshot is None or link is None or not link.up:
        yield unknown(at, direction, Check.NEIGHBOUR, f"{address} does not reply")
    else:
        cause = f"{at.name} gets no reply from {address}, an address of {other.name}, so they do not share a LAN"
        yield failed(
            at, direction, Check.NEIGHBOUR, Fault(FaultCode.NO_NEIGHBOUR, cause, on_host(at, f"arping -c 3 {address}"))
        )


def _stale(at: HostEvidence, other: HostEvidence, state: str, macs: tuple[str, str, str]) -> Fault:
    device, used, actual = macs
    cause = f"{at.name} sends frames for {other.host.underlay} to {used}, but {other.name} has {actual}"
    why = "the entry is manual" if state == "PERMANENT" else "the entry is old, or another machine has this address"
    remedy = on_host(at, f"ip neigh del {other.host.underlay} dev {quote(device)}")
    return Fault(FaultCode.STALE_NEIGHBOUR, f"{cause}; {why}", remedy)


def ingress(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, direction: Direction) -> Iterator[Step]:
    """Check that the kernel accepts packets from the other end and routes them to this end."""
    decision, device = seen.route_in, at.uplink
    if isinstance(decision, str):
        dropped = seen.rp_filter_drops >= COUNT
        if device is not None and routes_to_peer(at, other) and (dropped or _strict(seen, device)):
            yield failed(at, direction, Check.RP_FILTER, _rp_filter_fault(at, other, seen, device))
        else:
            detail = f"the kernel rejects packets from {other.address}: {decision}"
            yield unknown(at, direction, Check.RP_FILTER, detail)
    elif at.bridge is not None and decision.device != at.bridge:
        best = _best(seen, at.address)
        words = best.words if best else f"dev {decision.device}"
        cause = f"{at.name} uses a foreign route to its own container {at.address}: {words}"
        yield failed(
            at,
            direction,
            Check.RP_FILTER,
            Fault(FaultCode.FOREIGN_ROUTE_WINS, cause, on_host(at, f"ip route del {words}")),
        )
    else:
        yield passed(at, direction, Check.RP_FILTER, f"accepts packets from {other.address}")


def _strict(seen: HostSnapshot, device: str) -> bool:
    """Whether rp_filter is strict and the route back uses another interface.

    The error text of the kernel varies, so it is not evidence.
    """
    values = [seen.sysctls[name].rp_filter for name in ("all", device) if name in seen.sysctls]
    back = seen.route_out.device if isinstance(seen.route_out, Decision) else None
    return max(values, default=0) == _STRICT and back != device


def _rp_filter_fault(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, device: str) -> Fault:
    back = seen.route_out.device if isinstance(seen.route_out, Decision) else "another interface"
    cause = (
        f"{at.name} drops packets from {other.address} on {device}, because its route back uses {back} and its "
        "rp_filter is strict"
    )
    return Fault(
        FaultCode.STRICT_RP_FILTER,
        cause,
        on_host(at, f"sysctl -w {quote(f'net/ipv4/conf/{device}/rp_filter={_LOOSE}')}"),
    )
