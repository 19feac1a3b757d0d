"""Looks up how a host routes packets to all other hosts: longest prefix first, then lowest metric."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dockmesh.core.addresses import AddressRange, address_range
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.forecast.host_model import HostModel, RouteEntry
from dockmesh.core.names import DOCKER_BRIDGE
from dockmesh.core.netfilter.flow import AddressBits, Role
from dockmesh.core.netfilter.verdicts import Reason, ReasonCode

# The interface and the source address of packets that the host itself sends. Addresses are numbers.
Egress = tuple[str, int | None]
_OwnAddress = tuple[str, AddressRange, int]
_LOCAL, _NO_ROUTE = "local", "no route"


@dataclass(slots=True)
class RouteLookup:
    """Routing result for sets of hosts.

    `egresses`: the hosts whose packets take the right route. `blocked`, `via_other` and `uncertain`: the other hosts,
    with the reason. `via_other` are packets to a different machine, which may forward them. `outcomes`: all hosts, by
    kind of route and interface.
    """

    egresses: dict[Egress, int] = field(default_factory=dict)
    blocked: list[tuple[int, Reason]] = field(default_factory=list)
    via_other: list[tuple[int, Reason]] = field(default_factory=list)
    uncertain: list[tuple[int, Reason]] = field(default_factory=list)
    outcomes: dict[tuple[str, str | None], int] = field(default_factory=dict)


def lookup(model: HostModel, far: AddressBits, hosts: int, owners: Mapping[int, int], to: Role) -> RouteLookup:
    """Route packets to `hosts`. `owners` maps an address on the LAN to the host that has it."""
    result = RouteLookup()
    own = [(device, address_range(each.network), int(each.ip)) for device, each in model.addresses]
    for entry, routed in _matches(model, far, hosts):
        key = (entry, None) if isinstance(entry, str) else (entry.route.kind, entry.route.device)
        result.outcomes[key] = result.outcomes.get(key, 0) | routed
        if isinstance(entry, str):
            result.blocked.append((routed, _unrouted(model.host.name, entry)))
            continue
        if entry.hop is not None:
            correct = routed & owners.get(entry.hop, 0)
        else:
            correct = routed if _resolvable(model, entry, to) else 0
        _classify(result, model.host.name, entry, (routed, correct), own)
    return result


def _unrouted(name: str, outcome: str) -> Reason:
    if outcome == _LOCAL:
        return Reason(ReasonCode.ADDRESS_TAKEN, f"{name} has the peer's address itself")
    return Reason(ReasonCode.NO_ROUTE, f"{name} has no route to the peer")


def _matches(model: HostModel, far: AddressBits, remaining: int) -> Iterator[tuple[RouteEntry | str, int]]:
    if local := remaining & far.among((int(each.ip), int(each.ip)) for _, each in model.addresses):
        remaining &= ~local
        yield _LOCAL, local
    for entry in model.routes if remaining else ():
        if hosts := far[entry.span] & remaining:
            remaining &= ~hosts
            yield entry, hosts
    if remaining:
        yield _NO_ROUTE, remaining


def _resolvable(model: HostModel, entry: RouteEntry, to: Role) -> bool:
    """Whether the target replies to ARP on the LAN. Linux replies for every address of the host, not for containers."""
    return to == "underlay" or (to == "bridge" and entry.route.device == model.uplink)


def _classify(
    result: RouteLookup, name: str, entry: RouteEntry, hosts: tuple[int, int], own: Sequence[_OwnAddress]
) -> None:
    """Add the `hosts` of a route to the result. `hosts`: all that match it, and those that it leads to."""
    kind, (routed, correct) = entry.route.kind, hosts
    if kind != "unicast":
        correct = 0
    if correct:
        egress = entry.route.device or "", _source_address(entry, own)
        result.egresses[egress] = result.egresses.get(egress, 0) | correct
    if wrong := routed & ~correct:
        lost = result.blocked if entry.hop is None else result.via_other
        group = result.uncertain if kind == "multipath" else lost
        group.append((wrong, _wrong_route(name, entry.route)))


def _wrong_route(name: str, route: KernelRoute) -> Reason:
    if route.device == DOCKER_BRIDGE and route.on_link:
        return inside_bridge(name)
    how = f"via {route.next_hop}" if route.next_hop else f"dev {route.device}" if route.device else route.kind
    return Reason(ReasonCode.OTHER_ROUTE, f"{name} uses another route: {route.prefix} {how}")


def inside_bridge(name: str) -> Reason:
    """The reason if a peer's address is inside the host's own docker0 network."""
    return Reason(ReasonCode.INSIDE_BRIDGE, f"the peer's address is inside the docker0 network of {name}")


def _source_address(entry: RouteEntry, own: Sequence[_OwnAddress]) -> int | None:
    """Source address that the kernel selects for a route.

    This is the route's `src`, else the interface's first address in the network of the next hop, else its first one.
    """
    if entry.route.source is not None:
        return int(entry.route.source)
    first = None
    for device, (begin, end), address in own:
        if device == entry.route.device:
            if entry.hop is None or begin <= entry.hop <= end:
                return address
            first = first or address
    return first


def rp_filter_failures(
    routes: RouteLookup, name: str, device: str, rp_filter: int
) -> Iterator[tuple[int, Reason, bool]]:
    """The hosts whose packets the kernel drops at `device`, with the reason, and whether this is certain.

    `routes` are the routes back to these hosts. `rp_filter` is the value of the sysctl; 1 is strict.
    """
    for (kind, back), hosts in routes.outcomes.items():
        if kind == _LOCAL:
            yield hosts, Reason(ReasonCode.ADDRESS_TAKEN, f"{name} has the peer's address itself"), True
        elif rp_filter and kind == _NO_ROUTE:
            why = f"{name} has no route back to the peer, and rp_filter is on"
            yield hosts, Reason(ReasonCode.RP_FILTER, why), True
        elif rp_filter and (kind != "unicast" or (rp_filter == 1 and back != device)):
            why = f"the route of {name} back to the peer uses {back or kind}, not {device}, and rp_filter is strict"
            yield hosts, Reason(ReasonCode.RP_FILTER, why), kind != "multipath"
