"""Prefixes for hosts that lack one: the lowest free blocks of the pool, in the fleet's order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from dockmesh.core.model import Fleet, Host


@dataclass(frozen=True, slots=True)
class Allocation:
    """A prefix drawn for a host; None where the pool has none left."""

    host: str
    prefix: IPv4Network | None


def allocate(fleet: Fleet, pool: IPv4Network, among: Iterable[Host]) -> tuple[Allocation, ...]:
    """Draw a prefix for each host of `among` with Docker and without one; what is recorded stays as it is."""
    blocks = free(pool, fleet.settings.prefix_length, _taken(fleet))
    lacking = (host for host in among if host.docker and host.prefix is None)
    return tuple(Allocation(host.name, next(blocks, None)) for host in lacking)


def free(pool: IPv4Network, length: int, taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """The blocks of `length` bits in `pool` that overlap none of `taken`, lowest first."""
    size, end = 1 << (32 - length), int(pool.broadcast_address) + 1
    at = int(pool.network_address)
    for first, last in _ranges(taken, end):
        while at + size <= min(first, end):
            yield IPv4Network((at, length))
            at += size
        if last >= at:
            at = -(-(last + 1) // size) * size


def _ranges(taken: Iterable[IPv4Network], end: int) -> Iterator[tuple[int, int]]:
    """First and last address of each, in order, with `end` as the last."""
    yield from sorted((int(block.network_address), int(block.broadcast_address)) for block in taken)
    yield end, end


def _taken(fleet: Fleet) -> Iterator[IPv4Network]:
    for host in fleet.hosts:
        yield IPv4Network(host.underlay)
        if host.prefix:
            yield host.prefix
