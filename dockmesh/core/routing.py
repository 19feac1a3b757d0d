"""The full mesh: a route to every peer's prefix, its next hop the peer's underlay address."""

from collections.abc import Iterator, Mapping

from dockmesh.core.addresses import FAMILIES, Address
from dockmesh.core.facts import Way
from dockmesh.core.model import Fleet, Host, Route


def peers(fleet: Fleet, host: Host) -> Iterator[Host]:
    """Every host of the fleet but this one, in the fleet's order."""
    return (peer for peer in fleet.hosts if peer.name != host.name)


def underlays(fleet: Fleet, host: Host) -> tuple[Address, ...]:
    """The addresses of the host's peers, of the families in which it takes part."""
    stacks = (peer.stack(family) for family in FAMILIES if host.stack(family) for peer in peers(fleet, host))
    return tuple(stack.underlay for stack in stacks if stack)


def on_link(way: Way | None) -> bool:
    """Whether a peer can serve as next hop: the kernel reaches it directly, and it is not the host itself."""
    return way is not None and way.next_hop is None and not way.local


def mesh_routes(fleet: Fleet, host: Host, ways: Mapping[Address, Way]) -> tuple[Route, ...]:
    """The routes `host` shall have: to each peer with a prefix whose underlay address it has on-link."""
    return tuple(
        Route(there.prefix, there.underlay, ways[there.underlay].device)
        for family in FAMILIES
        if host.stack(family)
        for peer in peers(fleet, host)
        if (there := peer.stack(family)) and there.prefix and on_link(ways.get(there.underlay))
    )
