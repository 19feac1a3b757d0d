"""An index of the fleet's prefixes, sorted by address, that finds overlaps by bisection."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter

from dockmesh.core.addresses import Family, Network, address_range, family_of
from dockmesh.core.model import Fleet


@dataclass(frozen=True, slots=True)
class PrefixIndex:
    """The prefixes, of `families`, of every host except the host `own`."""

    fleet: Fleet
    own: str
    families: tuple[Family, ...]

    def overlapping(self, networks: Iterable[Network]) -> Iterator[tuple[str, Network]]:
        """Yield (host name, prefix) of each prefix that overlaps any of `networks`; IPv4 first, in fleet order."""
        overlaps = {
            (family_of(network), position)
            for network in networks
            if family_of(network) in self.families
            for position in self._positions(network)
        }
        for family, position in sorted(overlaps):
            host = self.fleet.hosts[position]
            stack = host.network(family)
            if stack and stack.prefix and host.name != self.own:
                yield host.name, stack.prefix

    def _positions(self, network: Network) -> Iterator[int]:
        """Positions in the fleet of the hosts whose prefix overlaps `network`."""
        ranges = self.fleet.prefix_ranges[family_of(network)]
        first, last = address_range(network)
        # Prefixes of a valid inventory do not overlap, so at most one that starts earlier reaches into the network.
        begin = bisect_left(ranges, first, key=itemgetter(0))
        for _start, end, position in ranges[max(0, begin - 1) : bisect_right(ranges, last, key=itemgetter(0))]:
            if end >= first:
                yield position
