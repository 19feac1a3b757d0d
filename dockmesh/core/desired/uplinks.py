"""The interfaces that hosts have towards their peers, and which of them takes the smallest packets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dockmesh.core.addresses import FAMILIES
from dockmesh.core.desired.routing import is_on_link
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.links import Link
from dockmesh.core.model import Fleet, Host

# No IP packet is larger.
_LARGEST = 65535


@dataclass(frozen=True, slots=True)
class SmallestUplink:
    """The smallest uplink of the hosts that were read. `whole`: none is left that may have a smaller one."""

    host: str
    device: str
    mtu: int
    complete: bool

    def limit(self, given: int | None) -> int:
        """The largest MTU there may be. What was given is not raised while a host that was not read may be why."""
        return self.mtu if self.complete or given is None else min(self.mtu, given)


def smallest_uplink(fleet: Fleet, read: Mapping[str, HostFacts]) -> SmallestUplink:
    """The smallest uplink of `read`, the hosts by name."""
    whole = all(host.name in read for host in fleet.hosts)
    there = ((host, link) for host in fleet.hosts if host.name in read for link in uplinks(host, read[host.name]))
    links = (SmallestUplink(host.name, link.name, link.mtu, whole) for host, link in there)
    return min(links, key=lambda each: each.mtu, default=SmallestUplink("", "", _LARGEST, whole))


def uplinks(host: Host, facts: HostFacts) -> Iterator[Link]:
    """The interfaces by which packets go to peers, or come from them."""
    ways = {way.device for way in facts.peer_routes.distinct() if is_on_link(way)}
    underlays = {stack.underlay for family in FAMILIES if (stack := host.network(family))}
    own = {device for device, address in facts.addresses if address.ip in underlays}
    return (link for name, link in facts.links.items() if name in ways | own)
