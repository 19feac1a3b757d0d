"""The networks hosts have already: a drawn prefix must overlap none, for every peer will have a route to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dockmesh.core.addresses import Network, is_inside
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.model import Fleet
from dockmesh.core.names import DOCKER_BRIDGE


@dataclass(frozen=True, slots=True)
class UsedNetwork:
    """A network that is somebody's; `what` says whose, for people."""

    network: Network
    description: str


def used_networks(fleet: Fleet, facts: Mapping[str, HostFacts]) -> tuple[UsedNetwork, ...]:
    """What of `mesh.pool` the hosts in `facts` are in, have a Docker network in, or have a route of others into."""
    pool = fleet.settings.pool
    if pool is None:
        return ()
    found: dict[Network, UsedNetwork] = {}
    for host in (host for host in fleet.hosts if host.name in facts):
        for each in _of(host.name, facts[host.name], pool, docker=host.docker):
            if each.network.overlaps(pool):
                found.setdefault(each.network, each)
    return tuple(found.values())


def _of(name: str, host: HostFacts, pool: Network, *, docker: bool) -> Iterator[UsedNetwork]:
    """Docker's docker0 is left out: it moves into the prefix. dockmesh's own routes come and go with the inventory."""
    for device, address in host.addresses:
        if not (docker and device == DOCKER_BRIDGE):
            yield UsedNetwork(address.network, f"{address.network} on {device} of {name}")
    for network in host.user_networks:
        yield from (UsedNetwork(each, f"{each}, Docker network {network.name} of {name}") for each in network.prefixes)
    for route in host.foreign_routes:
        if not (docker and route.device == DOCKER_BRIDGE) and not leads_out(route, pool):
            yield UsedNetwork(route.prefix, f"{route.prefix}, to which {name} has a route")


def leads_out(route: KernelRoute, pool: Network) -> bool:
    """Whether it is like a default route, and leaves the pool to those who have a more specific one."""
    return route.is_default or (is_inside(pool, route.prefix) and not route.on_link)
