"""Listings that hosts of a fleet have in common, except for a few lines: routes to all peers, and sets of all peers.

In a fleet of 1,000 hosts, each host lists 999 routes, and nearly every line is known from another host. Finding the
lines that two texts share takes a fraction of the time of parsing each line.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from operator import attrgetter
from typing import Generic, TypeVar

from dockmesh.core.addresses import FAMILIES, Address, Family, Network, parse_network
from dockmesh.core.facts.iproute import PeerRoute, RouteLine, parse_peer_route, parse_route_line
from dockmesh.core.shared import SharedSequence, SharedTable

T = TypeVar("T")
# The length of the first piece that is compared; each further piece is twice as long.
_PIECE = 256


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    """The listing of one host: its lines, the offset and the number of each, and their rows."""

    text: str
    starts: Sequence[int]
    numbers: Mapping[str, int]
    table: SharedTable[T]


class Listing(Generic[T]):
    """Parses one kind of listing with `parse`, line by line. Hosts share the rows of equal lines.

    Threads may use it in parallel.
    """

    def __init__(self, parse: Callable[[str], T]) -> None:
        self._parse = parse
        self._known: _Known[T] | None = None

    def rows(self, text: str) -> SharedSequence[T]:
        """The rows of the lines that are not empty."""
        text = f"{text}\n"
        if known := self._known:
            parts = tuple(self._parts(known, text))
            shared = sum(stop - start for table, start, stop in parts if table is known.table)
            if len(text) <= len(known.text) or shared * 2 > text.count("\n"):
                return SharedSequence(*parts)
        lines = [line for line in text.split("\n") if line]
        starts = tuple(accumulate((len(line) + 1 for line in lines), initial=0))
        table = SharedTable(map(self._parse, lines))
        numbers = {line: number for number, line in enumerate(lines)}
        self._known = _Known("".join(f"{line}\n" for line in lines), starts, numbers, table)
        return SharedSequence((table, 0, len(lines)))

    def _parts(self, known: _Known[T], text: str) -> Iterator[tuple[SharedTable[T], int, int]]:
        at = 0
        while at < len(text):
            end = text.index("\n", at)
            line = text[at:end]
            number = known.numbers.get(line)
            if number is not None:
                begin = known.starts[number]
                length = _common_length(text, at, known.text, begin)
                stop = bisect_right(known.starts, begin + length) - 1
                yield known.table, number, stop
                at += known.starts[stop] - begin
                continue
            if line:
                yield SharedTable((self._parse(line),)), 0, 1
            at = end + 1


def _common_length(one: str, at: int, two: str, begin: int) -> int:
    """The number of characters that two texts have in common from these offsets on, in time proportional to it."""
    length, size = 0, _PIECE
    while size:
        first, second = (text[start + length : start + length + size] for text, start in ((one, at), (two, begin)))
        if first and first == second:
            length += len(first)
            size *= 2
        else:
            size //= 2
            break
    while size:
        if one[at + length : at + length + size] == two[begin + length : begin + length + size]:
            length += min(size, len(one) - at - length)
        size //= 2
    return length


@dataclass(frozen=True, slots=True)
class Listings:
    """The listings of a fleet, for all its hosts. `elements`: those of the sets of dockmesh's nft tables."""

    routes: Mapping[Family, Listing[RouteLine]] = field(
        default_factory=lambda: {family: Listing(partial(parse_route_line, family=family)) for family in FAMILIES}
    )
    peer_routes: Mapping[Family, Listing[tuple[Address, PeerRoute]]] = field(
        default_factory=lambda: {family: Listing(parse_peer_route) for family in FAMILIES}
    )
    elements: Mapping[Family, Listing[Network]] = field(
        default_factory=lambda: {family: Listing(parse_network) for family in FAMILIES}
    )


def own_runs(rows: SharedSequence[RouteLine]) -> Iterator[tuple[bool, SharedSequence[RouteLine]]]:
    """The longest runs of dockmesh's routes, and of those of others."""
    return rows.runs("own", attrgetter("is_own"))
