"""Which way a host sends packets to all other hosts: longest prefix first, then metric."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dockmesh.core.addresses import AddressRange, address_range
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.forecast.host_model import HostModel, RouteEntry
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.flow import AddressBits, Role
from dockmesh.core.netfilter.verdicts import Reason, ReasonCode

# The interface and the source that the host's own packets leave by; addresses as numbers.
Egress = tuple[str, int | None]
_Own = tuple[str, AddressRange, int]
_HERE, _NOWHERE = "here", "nowhere"


@dataclass(slots=True)
class RouteLookup:
    """Whose packets are led right, by how they leave; whose are not, by why; and by kind of road and interface, all.

    `astray` are those that go to another machine, which may pass them on.
    """

    egresses: dict[Egress, int] = field(default_factory=dict)
    blocked: list[tuple[int, Reason]] = field(default_factory=list)
    via_other: list[tuple[int, Reason]] = field(default_factory=list)
    uncertain: list[tuple[int, Reason]] = field(default_factory=list)
    outcomes: dict[tuple[str, str | None], int] = field(default_factory=dict)


def lookup(at: HostModel, far: AddressBits, hosts: int, owners: Mapping[int, int], to: Role) -> RouteLookup:
    """Where the packets for these hosts go. `owners`: whose an address on the LAN is."""
    found = RouteLookup()
    own = [(device, address_range(each.network), int(each.ip)) for device, each in at.addresses]
    for road, some in _found(at, far, hosts):
        key = (road, None) if isinstance(road, str) else (road.route.kind, road.route.device)
        found.outcomes[key] = found.outcomes.get(key, 0) | some
        if isinstance(road, str):
            found.blocked.append((some, _routeless(at.host.name, road)))
        else:
            right = some & owners.get(road.hop, 0) if road.hop is not None else some * _answered(at, road, to)
            _sort(found, at.host.name, road, (some, right), own)
    return found


def _routeless(name: str, road: str) -> Reason:
    if road == _HERE:
        return Reason(ReasonCode.ADDRESS_TAKEN, f"{name} has that address itself")
    return Reason(ReasonCode.NO_ROUTE, f"{name} has no route there")


def _found(at: HostModel, far: AddressBits, left: int) -> Iterator[tuple[RouteEntry | str, int]]:
    if here := left & far.among((int(each.ip), int(each.ip)) for _, each in at.addresses):
        left &= ~here
        yield _HERE, here
    for road in at.routes:
        if hosts := far[road.span] & left:
            left &= ~hosts
            yield road, hosts
    if left:
        yield _NOWHERE, left


def _answered(at: HostModel, road: RouteEntry, to: Role) -> bool:
    """Whether hosts answer where such addresses are asked for on the LAN; no container does."""
    return to == "underlay" or (to == "bridge" and road.route.device == at.uplink)


def _sort(found: RouteLookup, name: str, road: RouteEntry, hosts: tuple[int, int], own: Sequence[_Own]) -> None:
    """`hosts`: those that take the road, and those of them to which it leads."""
    kind, (some, right) = road.route.kind, hosts
    if kind != "unicast":
        right = 0
    if right:
        way = road.route.device or "", _source(road, own)
        found.egresses[way] = found.egresses.get(way, 0) | right
    if wrong := some & ~right:
        into = found.uncertain if kind == "multipath" else found.blocked if road.hop is None else found.via_other
        into.append((wrong, _wrong(name, road.route)))


def _wrong(name: str, route: KernelRoute) -> Reason:
    if route.device == DOCKER_BRIDGE and route.on_link:
        return inside_bridge(name)
    how = f"via {route.next_hop}" if route.next_hop else f"dev {route.device}" if route.device else route.kind
    return Reason(ReasonCode.OTHER_ROUTE, f"{name} sends it by another route: {route.prefix} {how}")


def inside_bridge(name: str) -> Reason:
    """A host takes an address of another one for one on its own docker0."""
    return Reason(ReasonCode.INSIDE_BRIDGE, f"{name} has that address in the network of its own docker0")


def _source(road: RouteEntry, own: Sequence[_Own]) -> int | None:
    """What the kernel itself sends from by a road: what it names, else the first address that is near its next hop."""
    if road.route.source is not None:
        return int(road.route.source)
    first = None
    for device, (begin, end), address in own:
        if device == road.route.device:
            if road.hop is None or begin <= road.hop <= end:
                return address
            first = first or address
    return first


def rp_filter_failures(roads: RouteLookup, name: str, device: str, check: int) -> Iterator[tuple[int, Reason, bool]]:
    """Whose packets `device` does not take with that rp_filter, 1 being strict: who, why, and whether that is sure."""
    for (kind, back), hosts in roads.outcomes.items():
        if kind == _HERE:
            yield hosts, Reason(ReasonCode.ADDRESS_TAKEN, f"{name} has the address of the sender itself"), True
        elif check and kind == _NOWHERE:
            why = f"{name} knows no way back, and its rp_filter is on"
            yield hosts, Reason(ReasonCode.RP_FILTER, why), True
        elif check and (kind != "unicast" or (check == 1 and back != device)):
            why = f"{name} would answer by {back or kind}, and its rp_filter is strict"
            yield hosts, Reason(ReasonCode.RP_FILTER, why), kind != "multipath"
