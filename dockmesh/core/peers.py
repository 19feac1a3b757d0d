"""The others of a fleet, and what each host has for every one of them.

In a fleet of a thousand that is a million of everything: it is made once, as a table, and for each host its own row is
left out.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import accumulate, chain, pairwise
from typing import Any, TypeVar

from dockmesh.core.model import Fleet, Host
from dockmesh.core.shared import SharedSequence, SharedTable

T = TypeVar("T")


class Peers(Iterable[Host]):
    """Every host of the fleet but one, in the fleet's order."""

    def __init__(self, fleet: Fleet, own: str) -> None:
        self._fleet = fleet
        self._own = fleet.positions.get(own)

    def __iter__(self) -> Iterator[Host]:
        return (host for place, host in enumerate(self._fleet.hosts) if place != self._own)

    def for_each(
        self, what: Hashable, make: Callable[[Host], Iterable[T]], *, key: Callable[[T], Any] | None = None
    ) -> SharedSequence[T]:
        """What `make` makes of every peer, one after another, or sorted by `key`: no two peers have the same then.

        `what` stands for `make`, in this fleet; `key` must be the same function for all hosts, not one made for each.
        """
        made, name = self._fleet.cache, ("peers", what, key)
        if name not in made:
            made[name] = _tabled([tuple(make(host)) for host in self._fleet.hosts], key)
        table, places = made[name]
        own = places(self._own) if self._own is not None else ()
        # Between one of the own rows and the next are others'.
        edges = (-1, *own, len(table.rows))
        return SharedSequence(*((table, before + 1, after) for before, after in pairwise(edges)))


def peers(fleet: Fleet, host: Host) -> Peers:
    """Every host of the fleet but this one."""
    return Peers(fleet, host.name)


def _tabled(
    rows: list[tuple[T, ...]], key: Callable[[T], Any] | None
) -> tuple[SharedTable[T], Callable[[int], Iterable[int]]]:
    """The table of what all hosts have, and where in it are the rows of the host at a place, from above."""
    flat = tuple(chain.from_iterable(rows))
    ends = tuple(accumulate(map(len, rows), initial=0))
    if key is None:
        return SharedTable(flat), lambda place: range(ends[place], ends[place + 1])
    by_key = sorted(range(len(flat)), key=lambda at: key(flat[at]))
    now_at = {before: now for now, before in enumerate(by_key)}
    table = SharedTable(flat[at] for at in by_key)
    return table, lambda place: sorted(now_at[at] for at in range(ends[place], ends[place + 1]))
