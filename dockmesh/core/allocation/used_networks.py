"""Networks in use on the hosts. No new prefix may overlap one, because every peer gets a route to the prefix."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dockmesh.core.addresses import Network, is_inside
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import KernelRoute
from dockmesh.core.model import Fleet
from dockmesh.core.names import DOCKER_BRIDGE


@dataclass(frozen=True, slots=True)
class UsedNetwork:
    """A network in use. `description` names its host and its interface, Docker network or route, for messages."""

    network: Network
    description: str


def used_networks(fleet: Fleet, facts: Mapping[str, HostFacts]) -> tuple[UsedNetwork, ...]:
    """The networks in `mesh.pool` that hosts in `facts` use: addresses, Docker networks and foreign routes."""
    pool = fleet.settings.pool
    if pool is None:
        return ()
    used: dict[Network, UsedNetwork] = {}
    for host in (host for host in fleet.hosts if host.name in facts):
        for each in _on_host(host.name, facts[host.name], pool, docker=host.docker):
            if each.network.overlaps(pool):
                used.setdefault(each.network, each)
    return tuple(used.values())


def _on_host(name: str, host: HostFacts, pool: Network, *, docker: bool) -> Iterator[UsedNetwork]:
    # docker0 does not count: it moves into the prefix. Nor do owned routes: they follow the inventory.
    for device, address in host.addresses:
        if not (docker and device == DOCKER_BRIDGE):
            yield UsedNetwork(address.network, f"{address.network} on {device} of {name}")
    for network in host.user_networks:
        yield from (UsedNetwork(each, f"{each}, Docker network {network.name} of {name}") for each in network.prefixes)
    for route in host.foreign_routes:
        if not (docker and route.device == DOCKER_BRIDGE) and not leads_out(route, pool):
            yield UsedNetwork(route.prefix, f"{route.prefix}, a route on {name}")


def leads_out(route: KernelRoute, pool: Network) -> bool:
    """Whether the route acts as a default route for the pool: more specific routes into the pool may override it."""
    return route.is_default or (is_inside(pool, route.prefix) and not route.on_link)
