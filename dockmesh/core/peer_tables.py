"""What is made of every host of a fleet, once for all of them.

In a fleet of a thousand hosts each has a million peers' routes and rules. They stand in one table, of which each host
leaves out its own rows.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Generic, TypeVar

from dockmesh.core.shared import SharedSequence, SharedTable

H = TypeVar("H")
T = TypeVar("T")


class PeerTables(Generic[H]):
    """The tables of a fleet's hosts. A table belongs to the function that made it, not to a name."""

    def __init__(self, hosts: Sequence[H]) -> None:
        self._hosts = hosts
        self._tables: dict[Hashable, _Table[Any]] = {}

    def without(
        self, own: int | None, make: Callable[[H], Iterable[T]], *, key: Callable[[T], Any] | None = None
    ) -> SharedSequence[T]:
        """What `make` makes of every host but the one at position `own`: in the hosts' order, or sorted by `key`.

        `make` must equal whatever makes the same: a function of a module, or an instance of a frozen dataclass. So must
        `key`, by which no two hosts may have the same.
        """
        made = (make, key)
        if made not in self._tables:
            self._tables[made] = _Table([tuple(make(host)) for host in self._hosts], key)
        table: _Table[T] = self._tables[made]
        return table.without(own)


class _Table(Generic[T]):
    """The rows of all hosts, and the places of each host's own among them."""

    def __init__(self, rows: Sequence[tuple[T, ...]], key: Callable[[T], Any] | None) -> None:
        flat = tuple(chain.from_iterable(rows))
        self._ends = tuple(accumulate(map(len, rows), initial=0))
        order: Sequence[int] = range(len(flat))
        if key is not None:
            order = sorted(order, key=lambda at: key(flat[at]))
        self._places = {before: now for now, before in enumerate(order)} if key is not None else None
        self._table = SharedTable(flat[at] for at in order)

    def without(self, own: int | None) -> SharedSequence[T]:
        # Between one of the own rows and the next are others'.
        edges = (-1, *self._own(own), len(self._table.rows))
        return SharedSequence(*((self._table, before + 1, after) for before, after in pairwise(edges)))

    def _own(self, position: int | None) -> Iterable[int]:
        if position is None:
            return ()
        own = range(self._ends[position], self._ends[position + 1])
        return own if self._places is None else sorted(map(self._places.__getitem__, own))
