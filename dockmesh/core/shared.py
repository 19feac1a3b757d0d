"""Sequences that share their rows between all hosts of a fleet.

In a fleet of 1,000 hosts, each host has 999 routes, their rules and the script lines that restore them. A table has
these rows once for the whole fleet, together with the values derived from them. A sequence of one host refers to
ranges of such tables.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, groupby, pairwise, starmap
from operator import itemgetter
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")
S = TypeVar("S")
K = TypeVar("K")
H = TypeVar("H")


class SharedTable(Generic[T]):
    """Rows, with a cache of the values derived from all of them."""

    __slots__ = ("_derived", "rows")

    def __init__(self, rows: Iterable[T]) -> None:
        self.rows = tuple(rows)
        self._derived: dict[Hashable, Any] = {}

    def derived(self, name: Hashable, make: Callable[[tuple[T, ...]], S]) -> S:
        """Cached result of `make(rows)`; `name` identifies the function within this table."""
        if name not in self._derived:
            self._derived[name] = make(self.rows)
        result: S = self._derived[name]
        return result


# A table, and the start and the stop index of a range of its rows.
_Part = tuple[SharedTable[T], int, int]
# Shorter ranges are compared row by row.
LONG_ROWS = 64


class SharedSequence(Sequence[T]):
    """Concatenated ranges of tables: equal to the tuple of their rows, but its size does not grow with them."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: tuple[SharedTable[T], int, int]) -> None:
        """Each part is a table with the start and the stop index of a range of its rows."""
        self._parts = tuple(part for part in parts if part[1] < part[2])

    @staticmethod
    def of(*sequences: Iterable[T]) -> "SharedSequence[T]":
        """Concatenate sequences."""
        return SharedSequence(*chain.from_iterable(map(_parts, sequences)))

    def __len__(self) -> int:
        return sum(stop - start for _table, start, stop in self._parts)

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(table.rows[start:stop] for table, start, stop in self._parts)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SharedSequence | tuple):
            return NotImplemented
        return len(self) == len(other) and all(starmap(_same_rows, self._aligned(_parts(other))))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def _aligned(self, others: Iterable[_Part[T]]) -> Iterator[tuple[SharedTable[T], int, SharedTable[T], int, int]]:
        """Ranges of both sequences, of the same length: two tables with their starts, and the length."""
        own, rest = deque(self._parts), deque(others)
        while own and rest:
            (one, start, stop), (two, begin, end) = own.popleft(), rest.popleft()
            length = min(stop - start, end - begin)
            yield one, start, two, begin, length
            own.extendleft([(one, start + length, stop)] if start + length < stop else ())
            rest.extendleft([(two, begin + length, end)] if begin + length < end else ())

    def mapped(self, name: Hashable, make: Callable[[T], S]) -> "SharedSequence[S]":
        """The result of `make` for each row; `name` identifies the function."""
        return SharedSequence(
            *(
                (table.derived(("mapped", name), lambda rows: SharedTable(map(make, rows))), start, stop)
                for table, start, stop in self._parts
            )
        )

    def written(self, name: Hashable, write: Callable[[T], str]) -> str:
        """The joined texts that `write` returns for the rows; `name` identifies the function."""

        def text_and_offsets(rows: tuple[T, ...]) -> tuple[str, tuple[int, ...]]:
            texts = tuple(map(write, rows))
            return "".join(texts), tuple(accumulate(map(len, texts), initial=0))

        texts = (
            (table.derived(("written", name), text_and_offsets), start, stop) for table, start, stop in self._parts
        )
        return "".join(text[offsets[start] : offsets[stop]] for (text, offsets), start, stop in texts)

    def runs(self, name: Hashable, key: Callable[[T], K]) -> Iterator[tuple[K, "SharedSequence[T]"]]:
        """Group consecutive rows with the same key, in the longest possible runs; `name` identifies the function."""
        clipped = (
            (value, (run or table, max(0, start - begin), min(end, stop) - begin))
            for table, start, stop in self._parts
            for value, begin, end, run in table.derived(("runs", name), partial(_runs, key=key))
            if start < end and begin < stop
        )
        for value, parts in groupby(clipped, key=itemgetter(0)):
            yield value, SharedSequence(*(part for _value, part in parts))

    def any_adjacent(self, name: Hashable, test: Callable[[T, T], bool]) -> bool:
        """Whether any row and the next one pass `test`; `name` identifies the function."""

        def positions(rows: tuple[T, ...]) -> tuple[int, ...]:
            return tuple(at for at, pair in enumerate(pairwise(rows)) if test(*pair))

        return any(
            test(one.rows[stop - 1], two.rows[start]) for (one, _, stop), (two, start, _) in pairwise(self._parts)
        ) or any(
            start <= at < stop - 1
            for table, start, stop in self._parts
            for at in table.derived(("adjacent", name), positions)
        )

    def ordered(self, name: Hashable, key: Callable[[T], Any]) -> "SharedSequence[T]":
        """The rows sorted by `key`; `name` identifies the function."""
        if not self.any_adjacent(("unsorted", name), lambda one, two: key(one) > key(two)):
            return self
        return SharedSequence.of(sorted(self, key=key))


def _same_rows(one: SharedTable[T], start: int, two: SharedTable[T], begin: int, length: int) -> bool:
    """Whether two ranges have equal rows. The tables of a fleet are compared once for each shift between them."""
    if one is two and start == begin:
        return True
    if length < LONG_ROWS:
        return one.rows[start : start + length] == two.rows[begin : begin + length]
    shift = begin - start

    def differing(rows: tuple[T, ...]) -> tuple[int, ...]:
        first = max(0, -shift)
        pairs = zip(rows[first:], two.rows[first + shift :], strict=False)
        return tuple(at for at, (mine, other) in enumerate(pairs, first) if mine != other)

    positions = one.derived(("differing", two, shift), differing)
    return bisect_left(positions, start) == bisect_left(positions, start + length)


def without_common_ends(one: tuple[T, ...], two: tuple[T, ...]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """The rows of both without the longest start, and then the longest end, that they have in common."""
    start = _common_length(one, two)
    rest, other = one[start:], two[start:]
    end = _common_length(rest[::-1], other[::-1])
    return rest[: len(rest) - end], other[: len(other) - end]


def _common_length(one: tuple[T, ...], two: tuple[T, ...]) -> int:
    """The number of rows at the start that both have in common."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _parts(sequence: Iterable[T]) -> tuple[tuple[SharedTable[T], int, int], ...]:
    if isinstance(sequence, SharedSequence):
        return sequence._parts  # noqa: SLF001 (an instance of the same class)
    table = SharedTable(sequence)
    return ((table, 0, len(table.rows)),)


def _runs(rows: tuple[T, ...], key: Callable[[T], K]) -> tuple[tuple[K, int, int, SharedTable[T] | None], ...]:
    """For each run its key, start, stop and a table of its own rows; no table if all rows are one run.

    A run needs its own table, because a function for rows with one key may fail for the other rows.
    """
    runs = [(value, tuple(run)) for value, run in groupby(rows, key=key)]
    edges = pairwise(accumulate((len(run) for _value, run in runs), initial=0))
    return tuple(
        (value, begin, end, SharedTable(run) if len(runs) > 1 else None)
        for (value, run), (begin, end) in zip(runs, edges, strict=True)
    )


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
