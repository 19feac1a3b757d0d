"""The uplinks of hosts, and the uplink with the smallest MTU."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dockmesh.core.addresses import FAMILIES
from dockmesh.core.desired.routing import is_on_link
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.links import Link
from dockmesh.core.model import Fleet, Host

# The largest IP packet, in bytes.
_LARGEST = 65535


@dataclass(frozen=True, slots=True)
class SmallestUplink:
    """The uplink with the smallest MTU (bytes). `complete`: every host of the fleet was read."""

    host: str
    device: str
    mtu: int
    complete: bool

    def limit(self, set_mtu: int | None) -> int:
        """Return the largest allowed MTU. An MTU set earlier is raised only if every host was read."""
        return self.mtu if self.complete or set_mtu is None else min(self.mtu, set_mtu)


def smallest_uplink(fleet: Fleet, read: Mapping[str, HostFacts]) -> SmallestUplink:
    """Return the smallest uplink of the hosts in `read`, which has facts by host name."""
    complete = all(host.name in read for host in fleet.hosts)
    links = ((host, link) for host in fleet.hosts if host.name in read for link in uplinks(host, read[host.name]))
    candidates = (SmallestUplink(host.name, link.name, link.mtu, complete) for host, link in links)
    return min(candidates, key=lambda each: each.mtu, default=SmallestUplink("", "", _LARGEST, complete))


def uplinks(host: Host, facts: HostFacts) -> Iterator[Link]:
    """Yield the interfaces that lead to peers or have an underlay address of the host."""
    outgoing = {route.device for route in facts.peer_routes.distinct() if is_on_link(route)}
    underlays = {stack.underlay for family in FAMILIES if (stack := host.network(family))}
    incoming = {device for device, address in facts.addresses if address.ip in underlays}
    return (link for name, link in facts.links.items() if name in outgoing | incoming)
