"""The routes of the full mesh: one per peer's prefix, via the peer's underlay address."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dockmesh.core.addresses import FAMILIES, Address, Family, parse_address, sort_key
from dockmesh.core.facts.iproute import PeerRoute, PeerRoutes
from dockmesh.core.model import Fleet, Host
from dockmesh.core.peers import Peers, peers
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.resources import Route, route


@dataclass(frozen=True, slots=True)
class _Underlays:
    """The underlay address of a peer, if it joins the family."""

    family: Family

    def __call__(self, peer: Host) -> Iterator[Address]:
        if network := peer.network(self.family):
            yield parse_address(str(network.underlay))


@dataclass(frozen=True, slots=True)
class _SharedRoutes:
    """The route to a peer's prefix if one route leads to all underlay addresses."""

    family: Family
    peer_route: PeerRoute

    def __call__(self, peer: Host) -> Iterator[Route]:
        return _route(peer, self.family, self.peer_route)


def underlays(fleet: Fleet, host: Host) -> Sequence[Address]:
    """Return the underlay addresses of the host's peers, of the families that it joins."""
    others = peers(fleet, host)
    return SharedSequence.of(*(others.for_each(_Underlays(family)) for family in filter(host.network, FAMILIES)))


def shared_route(peers: Peers, family: Family, peer_routes: PeerRoutes) -> PeerRoute | None:
    """Return the route that all the peers share, or None."""
    return peer_routes.common(peers.for_each(_Underlays(family)))


def is_on_link(peer_route: PeerRoute | None) -> bool:
    """Whether the peer is a neighbour, and so a possible next hop."""
    return peer_route is not None and peer_route.next_hop is None and not peer_route.local


def mesh_routes(fleet: Fleet, host: Host, peer_routes: PeerRoutes) -> SharedSequence[Route]:
    """Return the routes that `host` needs, in order: one to each on-link peer with a prefix."""
    others = peers(fleet, host)
    return SharedSequence.of(*(_routes(others, family, peer_routes) for family in filter(host.network, FAMILIES)))


def _routes(peers: Peers, family: Family, peer_routes: PeerRoutes) -> Iterable[Route]:
    if shared := shared_route(peers, family, peer_routes):
        if not is_on_link(shared):
            return ()
        return peers.for_each(_SharedRoutes(family, shared), key=by_prefix)
    stacks = ((peer, stack) for peer in peers if (stack := peer.network(family)))
    routes = (route for peer, stack in stacks for route in _route(peer, family, peer_routes.get(stack.underlay)))
    return sorted(routes, key=by_prefix)


def by_prefix(route: Route) -> tuple[int, int, int]:
    """Return the sort key of a route: its prefix as a number."""
    return sort_key(route.prefix)


def _route(peer: Host, family: Family, peer_route: PeerRoute | None) -> Iterator[Route]:
    stack = peer.network(family)
    if stack and stack.prefix and peer_route and is_on_link(peer_route):
        yield route(stack.prefix, stack.underlay, peer_route.device)
