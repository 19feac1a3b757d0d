"""The packets between one host and all others, which differ only in the address at the far end.

A set of hosts is an integer with one bit per host, in the order of the fleet, so one operation covers all hosts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Literal

from dockmesh.core.addresses import AddressRange

# The end of a probe: the underlay address of a host, its bridge, or a container.
Role = Literal["underlay", "bridge", "container"]


def merge_ranges(spans: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """Return the same addresses in as few ranges as possible; a mesh has only a few."""
    merged: list[AddressRange] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def union(sets: Iterable[int]) -> int:
    """Return the hosts that are in any of the sets."""
    return reduce(or_, sets, 0)


def host_positions(hosts: int) -> Iterator[int]:
    """Yield the positions in the fleet of a set's hosts."""
    while hosts:
        lowest = hosts & -hosts
        yield lowest.bit_length() - 1
        hosts ^= lowest


class AddressBits(dict[AddressRange, int]):
    """The hosts whose address of one role is in a network, by network; cached, since rules repeat networks."""

    def __init__(self, addresses: Mapping[int, int]) -> None:
        super().__init__()
        pairs = sorted((address, 1 << place) for place, address in addresses.items())
        self._numbers = [number for number, _ in pairs]
        self._bits = [bit for _, bit in pairs]
        self.all = sum(self._bits)

    def __missing__(self, network: AddressRange) -> int:
        """Compute the set; each bit occurs once, so the sum is the union."""
        begin, end = bisect_left(self._numbers, network[0]), bisect_right(self._numbers, network[1])
        hosts = self[network] = sum(self._bits[begin:end])
        return hosts

    def among(self, networks: Iterable[AddressRange]) -> int:
        """Return the hosts whose address is in one of the networks."""
        return union(map(self.__getitem__, networks))


@dataclass(frozen=True, slots=True)
class Flow:
    """The packets that traverse one point of a host.

    `near` is their common address, and the destination if `inbound`. `reply`: they belong to a connection that the host
    tracks. `local`: the host itself sends or receives them. `mark` is the bit of dockmesh's mark, 0 if it is not known;
    `marked` and `unmarked` are the hosts whose packets have it or lack it. A host whose packets may have it is in both.
    """

    far: AddressBits
    near: int
    inbound: bool
    in_interface: str | None = None
    out_interface: str | None = None
    reply: bool = False
    local: bool = False
    mark: int = 0
    marked: int = 0
    unmarked: int = -1


@dataclass(frozen=True, slots=True)
class FleetAddresses:
    """The addresses of the fleet by role. `owners` maps an underlay address to a set of hosts."""

    far: Mapping[Role, AddressBits]
    owners: Mapping[int, int]
