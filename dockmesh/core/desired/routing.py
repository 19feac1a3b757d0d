"""The full mesh: a route to every peer's prefix, its next hop the peer's underlay address."""

from collections.abc import Iterable, Iterator, Sequence

from dockmesh.core.addresses import FAMILIES, Address, Family, order, the_address
from dockmesh.core.facts.iproute import Way, Ways
from dockmesh.core.model import Fleet, Host
from dockmesh.core.peers import Peers, peers
from dockmesh.core.shared import Rows
from dockmesh.core.state.resources import Route, route


def underlays(fleet: Fleet, host: Host) -> Sequence[Address]:
    """The addresses of the host's peers, of the families in which it takes part."""
    others = peers(fleet, host)
    return Rows.of(*(_underlays(others, family) for family in filter(host.stack, FAMILIES)))


def _underlays(peers: Peers, family: Family) -> Rows[Address]:
    return peers.each(
        ("underlay", family),
        lambda peer: [the_address(str(stack.underlay))] if (stack := peer.stack(family)) else [],
    )


def common_way(peers: Peers, family: Family, ways: Ways) -> Way | None:
    """The way that leads to every one of the peers, if one does."""
    return ways.common(_underlays(peers, family))


def on_link(way: Way | None) -> bool:
    """Whether a peer can serve as next hop: the kernel reaches it directly, and it is not the host itself."""
    return way is not None and way.next_hop is None and not way.local


def mesh_routes(fleet: Fleet, host: Host, ways: Ways) -> Rows[Route]:
    """The routes `host` shall have, in order: to each peer with a prefix whose underlay address it has on-link."""
    others = peers(fleet, host)
    return Rows.of(*(_routes(others, family, ways) for family in filter(host.stack, FAMILIES)))


def _routes(peers: Peers, family: Family, ways: Ways) -> Iterable[Route]:
    if way := common_way(peers, family, ways):
        if not on_link(way):
            return ()
        return peers.each(("route", family, way.device), lambda peer: _route(peer, family, way), key=in_order)
    stacks = ((peer, stack) for peer in peers if (stack := peer.stack(family)))
    routes = (route for peer, stack in stacks for route in _route(peer, family, ways.get(stack.underlay)))
    return sorted(routes, key=in_order)


def in_order(route: Route) -> tuple[int, int, int]:
    """What routes are sorted by: the numbers of their prefixes, not the digits."""
    return order(route.prefix)


def _route(peer: Host, family: Family, way: Way | None) -> Iterator[Route]:
    there = peer.stack(family)
    if there and there.prefix and way and on_link(way):
        yield route(there.prefix, there.underlay, way.device)
