"""The full mesh: a route to every peer's prefix, its next hop the peer's underlay address."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from dockmesh.core.facts import Way
from dockmesh.core.model import Fleet, Host, Route


def peers(fleet: Fleet, host: Host) -> Iterator[Host]:
    """Every host of the fleet but this one, in the fleet's order."""
    return (peer for peer in fleet.hosts if peer.name != host.name)


def on_link(way: Way | None) -> bool:
    """Whether a peer can serve as next hop: the kernel reaches it directly, and it is not the host itself."""
    return way is not None and way.next_hop is None and not way.local


def mesh_routes(fleet: Fleet, host: Host, ways: Mapping[IPv4Address, Way]) -> tuple[Route, ...]:
    """The routes `host` shall have: to each peer with a prefix whose underlay address it has on-link."""
    return tuple(
        Route(peer.prefix, peer.underlay, ways[peer.underlay].device)
        for peer in peers(fleet, host)
        if peer.prefix and on_link(ways.get(peer.underlay))
    )
