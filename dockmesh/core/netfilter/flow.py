"""Many packets at once: those between one host and every other, which differ in the address at the far end.

Sets of hosts are integers with a bit for each host, in the order of the fleet: a thousand are compared at one blow.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Literal

from dockmesh.core.addresses import AddressRange

# Where a probe begins or ends: at a host's address on the LAN, at its bridge, in a container.
Role = Literal["underlay", "bridge", "container"]


def merge_ranges(spans: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """The same addresses in as few spans as it takes: those of a mesh are a handful."""
    found: list[AddressRange] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def union(sets: Iterable[int]) -> int:
    """The hosts that are in any of the sets."""
    return reduce(or_, sets, 0)


def host_positions(hosts: int) -> Iterator[int]:
    """The places of a set's hosts in the fleet."""
    while hosts:
        lowest = hosts & -hosts
        yield lowest.bit_length() - 1
        hosts ^= lowest


class AddressBits(dict[AddressRange, int]):
    """By network, the hosts whose address in one role is in it: counted out once, for all rules name the same ones."""

    def __init__(self, addresses: Mapping[int, int]) -> None:
        super().__init__()
        pairs = sorted((address, 1 << place) for place, address in addresses.items())
        self._numbers = [number for number, _ in pairs]
        self._bits = [bit for _, bit in pairs]
        self.all = sum(self._bits)

    def __missing__(self, network: AddressRange) -> int:
        """Count them out. No bit is there twice, so that the sum is the set."""
        begin, end = bisect_left(self._numbers, network[0]), bisect_right(self._numbers, network[1])
        found = self[network] = sum(self._bits[begin:end])
        return found

    def among(self, networks: Iterable[AddressRange]) -> int:
        """The hosts whose address is in one of the networks."""
        return union(map(self.__getitem__, networks))


@dataclass(frozen=True, slots=True)
class Flow:
    """Packets as one host meets them in one place.

    `near` is the address that is the same in all; `inbound`: it is where they go. `reply`: they answer packets that the
    host has seen. `local`: they are for the host itself, or from it.
    """

    far: AddressBits
    near: int
    inbound: bool
    in_interface: str | None = None
    out_interface: str | None = None
    reply: bool = False
    local: bool = False


@dataclass(frozen=True, slots=True)
class FleetAddresses:
    """The addresses of the fleet: by role, and `owners`, whose an address on the LAN is, as a set."""

    far: Mapping[Role, AddressBits]
    owners: Mapping[int, int]
