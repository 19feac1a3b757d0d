"""An index of the fleet's prefixes, sorted by address, that finds overlaps by bisection."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Generic, TypeVar

from dockmesh.core.addresses import Family, Network, address_range, family_of, is_inside, sort_key
from dockmesh.core.model import Fleet
from dockmesh.core.text import listed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Overlap(Generic[T]):
    """A network that contains others, which is either the prefix of a peer or a network of the host.

    `prefixes`: the prefixes that overlap, by peer. `found`: the networks of the host that overlap, as given.
    """

    outer: Network
    prefixes: Mapping[str, Network]
    found: list[T]

    @property
    def of_peer(self) -> bool:
        """Whether `outer` is the prefix of a peer."""
        return self.outer in self.prefixes.values()

    @property
    def key(self) -> str:
        """The prefix of the peer, or the network around those of several peers."""
        return str(self.outer if len(self.prefixes) > 1 else next(iter(self.prefixes.values())))

    @property
    def subject(self) -> str:
        """The prefixes, for messages."""
        return f"the {'prefix' if len(self.prefixes) == 1 else 'prefixes'} of {listed([*self.prefixes])}"


@dataclass(frozen=True, slots=True)
class PrefixIndex:
    """The prefixes, of `families`, of every host except the host `own`."""

    fleet: Fleet
    own: str
    families: tuple[Family, ...]

    def overlaps(self, networks: Iterable[tuple[Network, T]]) -> list[Overlap[T]]:
        """Return the overlaps of prefixes with networks of the host, in order of address.

        There is one for each outermost network, which the operator can change. Their number depends on the
        number of prefixes, and not on that of the networks.
        """
        by_network: dict[Network, list[T]] = {}
        for network, found in networks:
            by_network.setdefault(network, []).append(found)
        overlaps: dict[Network, Overlap[T]] = {}
        for network, some in by_network.items():
            if prefixes := dict(self._overlapping(network)):
                first = next(iter(prefixes.values()))
                outer = first if is_inside(network, first) else network
                overlaps.setdefault(outer, Overlap(outer, prefixes, [])).found.extend(some)
        return sorted(overlaps.values(), key=lambda each: sort_key(each.outer))

    def _overlapping(self, network: Network) -> Iterator[tuple[str, Network]]:
        """Yield (host name, prefix) of each prefix that overlaps `network`, in order of address."""
        family = family_of(network)
        if family not in self.families:
            return
        ranges = self.fleet.prefix_ranges[family]
        first, last = address_range(network)
        # Prefixes of a valid inventory do not overlap, so at most one that starts earlier reaches into the network.
        begin = bisect_left(ranges, first, key=itemgetter(0))
        for _start, end, position in ranges[max(0, begin - 1) : bisect_right(ranges, last, key=itemgetter(0))]:
            host = self.fleet.hosts[position]
            stack = host.network(family)
            if end >= first and stack and stack.prefix and host.name != self.own:
                yield host.name, stack.prefix
