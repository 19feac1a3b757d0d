"""Steps between hosts: uplink, route, neighbour, and whether the receiver takes what comes in (rp_filter)."""

from collections.abc import Iterator
from ipaddress import IPv4Address
from shlex import quote

from dockmesh.core.explain.evidence import (
    HostEvidence,
    apply_command,
    failed,
    not_joined,
    on_host,
    passed,
    unknown,
    unknown_peer,
)
from dockmesh.core.explain.faults import FaultCode
from dockmesh.core.explain.model import Check, Direction, Fault, Step
from dockmesh.core.explain.snapshot import HostSnapshot, ListedRoute
from dockmesh.core.facts.iproute import PeerRoute as Decision
from dockmesh.core.names import FORWARD_CHAIN

_STRICT = 1
_LOOSE = 2


def uplink(at: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    """Whether the interface that peers send to is there and switched on."""
    device = at.uplink
    link = seen.links.get(device or "")
    if device is None or link is None:
        cause = f"no interface of {at.name} has {at.host.underlay}, which its peers send to"
        remedy = f"set underlay of {at.name} in the inventory to an address that it has, or give it that one"
        yield failed(at, way, Check.UPLINK, Fault(FaultCode.UNDERLAY_MISSING, cause, remedy))
    elif not link.up:
        cause = f"{device} of {at.name} is down"
        yield failed(
            at, way, Check.UPLINK, Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip link set {quote(device)} up"))
        )
    elif not link.carrier:
        cause = f"{device} of {at.name} has no carrier: nothing is at the other end of its cable"
        yield failed(
            at,
            way,
            Check.UPLINK,
            Fault(FaultCode.LINK_DOWN, cause, on_host(at, f"ip -s link show dev {quote(device)}")),
        )
    else:
        yield passed(at, way, Check.UPLINK, f"{device} {at.host.underlay}")


def routes_to_peer(at: HostEvidence, other: HostEvidence) -> bool:
    """Whether the kernel sends to the other host what is for its end."""
    decided = at.snapshot.route_out if at.snapshot else None
    if not isinstance(decided, Decision) or decided.local:
        return False
    direct = other.address == other.host.underlay and decided.next_hop is None
    return direct or decided.next_hop == other.host.underlay


def route(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    """Which way the kernel sends a packet to the other end, and whose doing that is."""
    if routes_to_peer(at, other) and isinstance(seen.route_out, Decision):
        yield passed(at, way, Check.ROUTE, f"{other.address} via {other.host.underlay} dev {seen.route_out.device}")
    else:
        yield failed(at, way, Check.ROUTE, _route_fault(at, other, seen))


def _route_fault(at: HostEvidence, other: HostEvidence, seen: HostSnapshot) -> Fault:
    own = [each for each in seen.routes if each.route.owned and each.route.prefix == other.host.prefix]
    best = _best(seen, other.address)
    if not own and other.host.prefix is not None:
        return _routeless(at, other, seen)
    if other.host.prefix is not None and other.address not in other.host.prefix and other.snapshot and not other.joined:
        return not_joined(other)
    if best is not None and best in own and best.route.next_hop != other.host.underlay:
        cause = f"{at.name} sends what is for {other.name} to another machine: {best.words}"
        return Fault(FaultCode.WRONG_NEXT_HOP, f"{cause}, not via {other.host.underlay}", apply_command(at))
    if best is not None and best not in own and best.route.prefix.prefixlen > 0:
        cause = f"a route of somebody else's takes what {at.name} sends to {other.name}: {best.words}"
        return Fault(FaultCode.FOREIGN_ROUTE_WINS, cause, on_host(at, f"ip route del {best.words}"))
    if seen.ip_rules:
        cause = f"a routing rule of {at.name} sends what is for {other.name} past the main table: {seen.ip_rules[0]}"
        return Fault(
            FaultCode.ROUTING_RULE, cause, on_host(at, f"ip rule del pref {quote(seen.ip_rules[0].split(':', 1)[0])}")
        )
    said = seen.route_out if isinstance(seen.route_out, str) else f"dev {seen.route_out.device}"
    return Fault(
        FaultCode.NO_ROUTE,
        f"{at.name} knows no way to {other.address}: {said}",
        on_host(at, f"ip route get {other.address}"),
    )


def _routeless(at: HostEvidence, other: HostEvidence, seen: HostSnapshot) -> Fault:
    if not at.joined:
        return not_joined(at)
    if not knows_peer(seen, other) and any(rule.chain == FORWARD_CHAIN for rule in seen.rules):
        return unknown_peer(at, other)
    cause = f"{at.name} has no route to {other.host.prefix}, the prefix of {other.name}: it was removed"
    return Fault(FaultCode.ROUTE_MISSING, cause, apply_command(at))


def knows_peer(seen: HostSnapshot, other: HostEvidence) -> bool:
    """Whether the host's rules speak of the other one."""
    return any(
        rule.chain == FORWARD_CHAIN and f"-s {other.host.underlay}/32 " in f"{rule.text} " for rule in seen.rules
    )


def _best(seen: HostSnapshot, address: IPv4Address) -> ListedRoute | None:
    """The route of the main table that an address is sent by."""
    fitting = [each for each in seen.routes if address in each.route.prefix]
    return max(fitting, key=lambda each: (each.route.prefix.prefixlen, -each.route.metric), default=None)


def neighbour(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    """Whether frames for the other host go to it."""
    address = other.host.underlay
    found = seen.neighbours.get(address)
    its = other.snapshot.links.get(other.uplink or "") if other.snapshot else None
    if found is not None and found.mac and its is not None and its.mac and found.mac != its.mac:
        yield failed(at, way, Check.NEIGHBOUR, _stale(at, other, found.state, (found.device, found.mac, its.mac)))
    elif seen.peer_replied or (found is not None and found.mac):
        yield passed(at, way, Check.NEIGHBOUR, f"{address} is {found.mac if found and found.mac else 'there'}")
    elif other.snapshot is None or its is None or not its.up:
        yield unknown(at, way, Check.NEIGHBOUR, f"{address} does not answer")
    else:
        cause = f"{at.name} gets no answer from {address}, though {other.name} has that address: they share no LAN"
        yield failed(
            at, way, Check.NEIGHBOUR, Fault(FaultCode.NO_NEIGHBOUR, cause, on_host(at, f"arping -c 3 {address}"))
        )


def _stale(at: HostEvidence, other: HostEvidence, state: str, where: tuple[str, str, str]) -> Fault:
    device, mac, its = where
    cause = f"{at.name} sends frames for {other.host.underlay} to {mac}, and {other.name} is {its}"
    why = (
        "an entry made by hand" if state == "PERMANENT" else "an entry that is out of date, or another machine answers"
    )
    remedy = on_host(at, f"ip neigh del {other.host.underlay} dev {quote(device)}")
    return Fault(FaultCode.STALE_NEIGHBOUR, f"{cause}: {why}", remedy)


def ingress(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, way: Direction) -> Iterator[Step]:
    """Whether the kernel takes what comes in from the other end, and hands it to the right place."""
    decided, device = seen.route_in, at.uplink
    if isinstance(decided, str):
        if device is not None and routes_to_peer(at, other) and (seen.rp_filter_drops > 0 or _strict(seen, device)):
            yield failed(at, way, Check.RP_FILTER, _filtered(at, other, seen, device))
        else:
            yield unknown(at, way, Check.RP_FILTER, f"the kernel refuses what comes in from {other.address}: {decided}")
    elif at.bridge is not None and decided.device != at.bridge:
        best = _best(seen, at.address)
        words = best.words if best else f"dev {decided.device}"
        cause = f"a route of somebody else's takes what is for {at.address} on {at.name}: {words}"
        yield failed(
            at, way, Check.RP_FILTER, Fault(FaultCode.FOREIGN_ROUTE_WINS, cause, on_host(at, f"ip route del {words}"))
        )
    else:
        yield passed(at, way, Check.RP_FILTER, f"what comes in from {other.address} is taken")


def _strict(seen: HostSnapshot, device: str) -> bool:
    """Whether the settings refuse what comes in by `device`. The kernel says so in words that vary."""
    values = [seen.sysctls[name].rp_filter for name in ("all", device) if name in seen.sysctls]
    answers_by = seen.route_out.device if isinstance(seen.route_out, Decision) else None
    return max(values, default=0) == _STRICT and answers_by != device


def _filtered(at: HostEvidence, other: HostEvidence, seen: HostSnapshot, device: str) -> Fault:
    back = seen.route_out.device if isinstance(seen.route_out, Decision) else "another interface"
    cause = (
        f"{at.name} refuses what comes in from {other.address} by {device}, for it would answer by {back}, and its "
        "rp_filter is strict"
    )
    return Fault(
        FaultCode.STRICT_RP_FILTER,
        cause,
        on_host(at, f"sysctl -w {quote(f'net.ipv4.conf.{device}.rp_filter={_LOOSE}')}"),
    )
