"""The others of a fleet, and what each host has for every one of them.

In a fleet of a thousand that is a million of everything: it is made once, as a table, and for each host its own row is
left out.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import accumulate, chain
from typing import Any, TypeVar

from dockmesh.core.model import Fleet, Host

T = TypeVar("T")


class Peers(Iterable[Host]):
    """Every host of the fleet but one, in the fleet's order."""

    def __init__(self, fleet: Fleet, own: str) -> None:
        self._fleet = fleet
        at = fleet.places.get(own)
        self._own = slice(0, 0) if at is None else slice(at, at + 1)

    def __iter__(self) -> Iterator[Host]:
        return iter(_without(self._fleet.hosts, self._own))

    def each(
        self, what: Hashable, make: Callable[[Host], Iterable[T]], *, key: Callable[[T], Any] | None = None
    ) -> tuple[T, ...]:
        """What `make` makes of every peer, one after another, or sorted by `key`: no two peers have the same then.

        `what` stands for both functions, in this fleet.
        """
        flat, own = self._made(what, make)
        if key is None:
            return _without(flat, own)
        made = self._fleet.made
        if ("in order", what) not in made:
            made["in order", what] = sorted(flat, key=key)
        left_out = set(map(id, flat[own]))
        return tuple(each for each in made["in order", what] if id(each) not in left_out)

    def _made(self, what: Hashable, make: Callable[[Host], Iterable[T]]) -> tuple[tuple[T, ...], slice]:
        """The whole table, and where in it the row of the host itself is."""
        made = self._fleet.made
        if what not in made:
            rows = [tuple(make(host)) for host in self._fleet.hosts]
            made[what] = tuple(chain.from_iterable(rows)), tuple(accumulate(map(len, rows), initial=0))
        flat, ends = made[what]
        return flat, slice(ends[self._own.start], ends[self._own.stop])


def peers(fleet: Fleet, host: Host) -> Peers:
    """Every host of the fleet but this one."""
    return Peers(fleet, host.name)


def _without(flat: tuple[T, ...], own: slice) -> tuple[T, ...]:
    return flat[: own.start] + flat[own.stop :]
