"""Tables of values derived from every host of a fleet, once for all hosts.

A fleet of 1,000 hosts has a million routes to peers. They share one table, from which each host leaves out its own
rows.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Generic, TypeVar

from dockmesh.core.shared import SharedSequence, SharedTable

H = TypeVar("H")
T = TypeVar("T")


class PeerTables(Generic[H]):
    """The tables of a fleet, cached by the function that makes the rows."""

    def __init__(self, hosts: Sequence[H]) -> None:
        self._hosts = hosts
        self._tables: dict[Hashable, _Table[Any]] = {}

    def without(
        self, own: int | None, make: Callable[[H], Iterable[T]], *, key: Callable[[T], Any] | None = None
    ) -> SharedSequence[T]:
        """The rows that `make` returns for every host except the one at index `own`; in fleet order or sorted by `key`.

        `make` and `key` must compare equal if they compute the same: use functions of a module or instances of a frozen
        dataclass. No two rows may have the same `key`.
        """
        identity = (make, key)
        if identity not in self._tables:
            self._tables[identity] = _Table([tuple(make(host)) for host in self._hosts], key)
        table: _Table[T] = self._tables[identity]
        return table.without(own)


class _Table(Generic[T]):
    """The rows of all hosts, with the indices of each host's own rows."""

    def __init__(self, rows: Sequence[tuple[T, ...]], key: Callable[[T], Any] | None) -> None:
        flat = tuple(chain.from_iterable(rows))
        self._ends = tuple(accumulate(map(len, rows), initial=0))
        order: Sequence[int] = range(len(flat))
        if key is not None:
            order = sorted(order, key=lambda at: key(flat[at]))
        self._sorted_index = {before: now for now, before in enumerate(order)} if key is not None else None
        self._table = SharedTable(flat[at] for at in order)

    def without(self, own: int | None) -> SharedSequence[T]:
        # The ranges between the host's own rows.
        edges = (-1, *self._own(own), len(self._table.rows))
        return SharedSequence(*((self._table, before + 1, after) for before, after in pairwise(edges)))

    def _own(self, position: int | None) -> Iterable[int]:
        if position is None:
            return ()
        own = range(self._ends[position], self._ends[position + 1])
        return own if self._sorted_index is None else sorted(map(self._sorted_index.__getitem__, own))
