"""The prefixes of a fleet in order of address, so that few of them need a look to find what overlaps with one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
        starts, rows = self._in_order(family_of(network))
        first, last = address_range(network)
        before = bisect_left(starts, first)
        for _start, end, place in rows[max(0, before - 1) : bisect_right(starts, last)]:
            if end >= first:
                yield place

    def _in_order(self, family: Family) -> tuple[list[int], list[tuple[int, int, int]]]:
        """Where prefixes start; and the same with their ends and the places of their hosts."""
        made = self.fleet.cache
        if ("prefixes", family) not in made:
            stacks = ((place, host.network(family)) for place, host in enumerate(self.fleet.hosts))
            prefixes = ((place, stack.prefix) for place, stack in stacks if stack and stack.prefix)
            rows = sorted((*address_range(each), place) for place, each in prefixes)
            made["prefixes", family] = [start for start, _end, _place in rows], rows
        found: tuple[list[int], list[tuple[int, int, int]]] = made["prefixes", family]
        return found
