"""The full mesh: a route to every peer's prefix, its next hop the peer's underlay address."""

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
    """The underlay address of a peer, if it takes part in the family."""

    family: Family

    def __call__(self, peer: Host) -> Iterator[Address]:
        if network := peer.network(self.family):
            yield parse_address(str(network.underlay))


@dataclass(frozen=True, slots=True)
class _SharedRoutes:
    """The route to a peer's prefix by the way that leads to all peers."""

    family: Family
    way: PeerRoute

    def __call__(self, peer: Host) -> Iterator[Route]:
        return _route(peer, self.family, self.way)


def underlays(fleet: Fleet, host: Host) -> Sequence[Address]:
    """The addresses of the host's peers, of the families in which it takes part."""
    others = peers(fleet, host)
    return SharedSequence.of(*(others.for_each(_Underlays(family)) for family in filter(host.network, FAMILIES)))


def shared_route(peers: Peers, family: Family, ways: PeerRoutes) -> PeerRoute | None:
    """The way that leads to every one of the peers, if one does."""
    return ways.common(peers.for_each(_Underlays(family)))


def is_on_link(way: PeerRoute | None) -> bool:
    """Whether a peer can serve as next hop: the kernel reaches it directly, and it is not the host itself."""
    return way is not None and way.next_hop is None and not way.local


def mesh_routes(fleet: Fleet, host: Host, ways: PeerRoutes) -> SharedSequence[Route]:
    """The routes `host` shall have, in order: to each peer with a prefix whose underlay address it has on-link."""
    others = peers(fleet, host)
    return SharedSequence.of(*(_routes(others, family, ways) for family in filter(host.network, FAMILIES)))


def _routes(peers: Peers, family: Family, ways: PeerRoutes) -> Iterable[Route]:
    if way := shared_route(peers, family, ways):
        if not is_on_link(way):
            return ()
        return peers.for_each(_SharedRoutes(family, way), key=by_prefix)
    stacks = ((peer, stack) for peer in peers if (stack := peer.network(family)))
    routes = (route for peer, stack in stacks for route in _route(peer, family, ways.get(stack.underlay)))
    return sorted(routes, key=by_prefix)


def by_prefix(route: Route) -> tuple[int, int, int]:
    """What routes are sorted by: the numbers of their prefixes, not the digits."""
    return sort_key(route.prefix)


def _route(peer: Host, family: Family, way: PeerRoute | None) -> Iterator[Route]:
    there = peer.network(family)
    if there and there.prefix and way and is_on_link(way):
        yield route(there.prefix, there.underlay, way.device)
