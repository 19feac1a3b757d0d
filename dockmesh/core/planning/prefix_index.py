"""The prefixes of a fleet in order of address, so that few of them need a look to find what overlaps with one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter

from dockmesh.core.addresses import Family, Network, address_range, family_of
from dockmesh.core.model import Fleet


@dataclass(frozen=True, slots=True)
class PrefixIndex:
    """The prefixes of those families that a fleet's hosts have, but for the host `own`."""

    fleet: Fleet
    own: str
    families: tuple[Family, ...]

    def overlapping(self, networks: Iterable[Network]) -> Iterator[tuple[str, Network]]:
        """Each prefix that overlaps any of `networks`, behind its host's name; in the fleet's order, IPv4 first."""
        found = {
            (family_of(network), place)
            for network in networks
            if family_of(network) in self.families
            for place in self._places(network)
        }
        for family, place in sorted(found):
            host = self.fleet.hosts[place]
            there = host.network(family)
            if there and there.prefix and host.name != self.own:
                yield host.name, there.prefix

    def _places(self, network: Network) -> Iterator[int]:
        """Where in the fleet are the hosts with those prefixes, of which, in a valid inventory, no two overlap."""
        ranges = self.fleet.prefix_ranges[family_of(network)]
        first, last = address_range(network)
        before = bisect_left(ranges, first, key=itemgetter(0))
        for _start, end, place in ranges[max(0, before - 1) : bisect_right(ranges, last, key=itemgetter(0))]:
            if end >= first:
                yield place
