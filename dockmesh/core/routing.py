"""The full mesh: a route to every peer's prefix, its next hop the peer's underlay address."""

from collections.abc import Iterable, Iterator, Mapping

from dockmesh.core.addresses import FAMILIES, Address, Family
from dockmesh.core.iproute import Way
from dockmesh.core.model import Fleet, Host, Route, route
from dockmesh.core.peers import Peers, peers


def underlays(fleet: Fleet, host: Host) -> tuple[Address, ...]:
    """The addresses of the host's peers, of the families in which it takes part."""
    others = peers(fleet, host)
    return tuple(address for family in FAMILIES if host.stack(family) for address in _underlays(others, family))


def _underlays(peers: Peers, family: Family) -> tuple[Address, ...]:
    return peers.each(("underlay", family), lambda peer: [stack.underlay] if (stack := peer.stack(family)) else [])


def common_way(peers: Peers, family: Family, ways: Mapping[Address, Way]) -> Way | None:
    """The way that leads to every one of the peers, if one does: facts have one object for each way there is."""
    there = {id(way): way for way in map(ways.get, _underlays(peers, family))}
    return next(iter(there.values())) if len(there) == 1 else None


def on_link(way: Way | None) -> bool:
    """Whether a peer can serve as next hop: the kernel reaches it directly, and it is not the host itself."""
    return way is not None and way.next_hop is None and not way.local


def mesh_routes(fleet: Fleet, host: Host, ways: Mapping[Address, Way]) -> tuple[Route, ...]:
    """The routes `host` shall have: to each peer with a prefix whose underlay address it has on-link."""
    others, families = peers(fleet, host), [family for family in FAMILIES if host.stack(family)]
    return tuple(route for family in families for route in _routes(others, family, ways))


def _routes(peers: Peers, family: Family, ways: Mapping[Address, Way]) -> Iterable[Route]:
    if way := common_way(peers, family, ways):
        device = way.device
        return peers.each(("route", family, device), lambda peer: _route(peer, family, way)) if on_link(way) else ()
    stacks = ((peer, stack) for peer in peers if (stack := peer.stack(family)))
    return (route for peer, stack in stacks for route in _route(peer, family, ways.get(stack.underlay)))


def _route(peer: Host, family: Family, way: Way | None) -> Iterator[Route]:
    there = peer.stack(family)
    if there and there.prefix and way and on_link(way):
        yield route(there.prefix, there.underlay, way.device)
